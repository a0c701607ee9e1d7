#include <stdio.h>

int main(void) {
	puts("hello from the toolbox");
	return 0;
}
