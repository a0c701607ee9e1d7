/* Greets, and says where it is: on which system, as which user. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Copies the value of PRETTY_NAME from /etc/os-release. */
static void system_name(char *name, size_t size)
{
	char line[256];
	FILE *f = fopen("/etc/os-release", "r");

	snprintf(name, size, "an unknown system");
	if (!f)
		return;
	while (fgets(line, sizeof line, f)) {
		char value[200];
		if (sscanf(line, "PRETTY_NAME=\"%199[^\"]\"", value) == 1)
			snprintf(name, size, "%s", value);
	}
	fclose(f);
}

int main(int argc, char **argv)
{
	const char *greeting = getenv("GREETING");
	char name[200];

	system_name(name, sizeof name);
	printf("%s, %s! This is %s, user %d, process %d.\n",
	       greeting ? greeting : "Hi", argc > 1 ? argv[1] : "you", name,
	       (int)getuid(), (int)getpid());
	return 0;
}
