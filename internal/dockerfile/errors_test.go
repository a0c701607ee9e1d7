package dockerfile_test

import (
	"errors"
	"testing"

	"github.com/kiln-build/kiln/internal/dockerfile"
)

// TestMistakes holds what people are told about everyday mistakes.
func TestMistakes(t *testing.T) {
	cases := []struct {
		name, text string
		opts       dockerfile.Options
		want, hint string
	}{
		{
			name: "empty",
			text: "",
			want: "Dockerfile: the Dockerfile is empty",
			hint: "a Dockerfile starts with FROM; -f names another file",
		},
		{
			name: "only comments",
			text: "# nothing\n",
			want: "Dockerfile: the Dockerfile has no instructions",
			hint: "a Dockerfile starts with FROM; -f names another file",
		},
		{
			name: "only ARG",
			text: "ARG A=1\n",
			want: "Dockerfile: the Dockerfile has no stage to build",
			hint: "a Dockerfile starts with FROM",
		},
		{
			name: "no FROM",
			text: "RUN make\nFROM alpine\n",
			want: "Dockerfile:1: RUN comes before the first FROM",
			hint: "an image starts with FROM; only ARG can stand before it",
		},
		{
			name: "misspelt instruction",
			text: "FROM alpine\nRNU make\n",
			want: "Dockerfile:2: unknown instruction: RNU",
			hint: "did you mean RUN?",
		},
		{
			name: "shell line",
			text: "FROM alpine\nRUN make\n&& make install\n",
			want: "Dockerfile:3: unknown instruction: &&",
			hint: `an instruction that goes on in the next line ends in \`,
		},
		{
			name: "misspelt flag",
			text: "FROM alpine\nCOPY --chwon=1 a b\n",
			want: "Dockerfile:2: unknown flag: --chwon",
			hint: "did you mean --chown?",
		},
		{
			name: "flag of another",
			text: "FROM alpine\nADD --from=x a b\n",
			want: "Dockerfile:2: unknown flag: --from",
			hint: "COPY has --from; ADD has the flags --checksum, --chmod, --chown, --exclude, --keep-git-dir, --link, --unpack",
		},
		{
			name: "no flags",
			text: "FROM alpine\nENV --a b=c\n",
			want: "Dockerfile:2: unknown flag: --a",
			hint: "ENV has no flags",
		},
		{
			name: "misspelt mount",
			text: "FROM alpine\nRUN --mount=type=cahce,target=/x make\n",
			want: `Dockerfile:2: unsupported mount type "cahce"`,
			hint: "did you mean cache?",
		},
		{
			name: "misspelt mount key",
			text: "FROM alpine\nRUN --mount=type=cache,tagret=/x make\n",
			want: "Dockerfile:2: unexpected key 'tagret' in 'tagret=/x'",
			hint: "did you mean target?",
		},
		{
			name: "misspelt sharing",
			text: "FROM alpine\nRUN --mount=type=cache,target=/x,sharing=lock make\n",
			want: `Dockerfile:2: unsupported sharing value "lock"`,
			hint: "did you mean locked?",
		},
		{
			name: "mount on root",
			text: "FROM alpine\nRUN --mount=type=tmpfs,target=/ make\n",
			want: "Dockerfile:2: RUN --mount=type=tmpfs: the target cannot be /",
		},
		{
			name: "misspelt stage",
			text: "FROM alpine AS builder\nFROM scratch\nCOPY --from=bilder / /\n",
			want: "Dockerfile:3: find image bilder: bilder: not found",
			hint: "no stage has that name; did you mean builder?",
		},
		{
			name: "misspelt stage in FROM",
			text: "FROM alpine AS builder\nFROM bilder\n",
			want: "Dockerfile:2: find image bilder: bilder: not found",
			hint: "no stage has that name; did you mean builder?",
		},
		{
			name: "upper case",
			text: "FROM alpine AS builder\nFROM Bilder\n",
			want: `Dockerfile:2: "Bilder" is not the name of an image: invalid reference format: repository name (library/Bilder) must be lowercase`,
			hint: "did you mean stage builder?",
		},
		{
			name: "later stage in FROM",
			text: "FROM builder\nFROM alpine AS builder\n",
			opts: dockerfile.Options{Target: "0"},
			want: "Dockerfile:1: find image builder: builder: not found",
			hint: "stage builder is defined below; a stage can start only from one above it",
		},
		{
			name: "later stage",
			text: "FROM alpine AS a\nCOPY --from=b / /\nFROM alpine AS b\n",
			opts: dockerfile.Options{Target: "a"},
			want: "Dockerfile:2: stage b is used before it is defined",
			hint: "move stage b above stage a",
		},
		{
			name: "itself",
			text: "FROM alpine AS a\nCOPY --from=a / /\n",
			want: "Dockerfile:2: stage a reads itself",
			hint: "a stage can start from, copy from and mount only stages above it",
		},
		{
			name: "circle",
			text: "FROM alpine AS a\nCOPY --from=b / /\nFROM alpine AS b\nCOPY --from=a / /\n",
			want: "Dockerfile:2: stage a reads stage b, which reads stage a",
			hint: "a stage can start from, copy from and mount only stages above it",
		},
		{
			name: "stage number",
			text: "FROM alpine\nCOPY --from=3 / /\n",
			want: "Dockerfile:2: COPY --from=3: there is no stage with that number",
			hint: "the last stage has the number 0",
		},
		{
			name: "variable in from",
			text: "ARG S=x\nFROM alpine\nCOPY --from=$S / /\n",
			want: "Dockerfile:3: COPY --from=$S: variables are not expanded there",
			hint: "give it a name with a stage of its own, which FROM expands: FROM $S AS name",
		},
		{
			name: "variable in mount from",
			text: "ARG S=x\nFROM alpine\nRUN --mount=from=$S,target=/s make\n",
			want: "Dockerfile:3: 'from' doesn't support variable expansion, define alias stage instead",
			hint: "give what it stands for a name with a stage of its own: FROM ... AS name",
		},
		{
			name: "missing image",
			text: "FROM mising\n",
			want: "Dockerfile:1: find image mising: mising: not found",
		},
		{
			name: "target",
			text: "FROM alpine AS builder\nFROM alpine AS web\n",
			opts: dockerfile.Options{Target: "build"},
			want: `Dockerfile: there is no stage "build"`,
			hint: "did you mean builder?",
		},
		{
			name: "target far",
			text: "FROM alpine AS builder\nFROM alpine AS web\n",
			opts: dockerfile.Options{Target: "production"},
			want: `Dockerfile: there is no stage "production"`,
			hint: "the stages are builder, web",
		},
		{
			name: "target without names",
			text: "FROM alpine\n",
			opts: dockerfile.Options{Target: "Production"},
			want: `Dockerfile: there is no stage "Production"`,
			hint: "no stage has a name; give it one with FROM image AS production",
		},
		{
			name: "FROM undeclared",
			text: "FROM $BASE\n",
			want: "Dockerfile:1: FROM $BASE: there is no name left after expansion",
			hint: "declare it above the first FROM: ARG BASE=value",
		},
		{
			name: "FROM misspelt",
			text: "ARG BASE=alpine\nFROM $BSAE\n",
			want: "Dockerfile:2: FROM $BSAE: there is no name left after expansion",
			hint: "did you mean $BASE?",
		},
		{
			name: "FROM unset",
			text: "ARG BASE\nFROM $BASE\n",
			want: "Dockerfile:2: FROM $BASE: there is no name left after expansion",
			hint: "ARG BASE has no value: give it one there, or with --build-arg BASE=value",
		},
		{
			name: "FROM after",
			text: "FROM alpine\nARG BASE=alpine\nFROM $BASE\n",
			want: "Dockerfile:3: FROM $BASE: there is no name left after expansion",
			hint: "ARG BASE in line 2 belongs to a stage; FROM sees only the ARGs above the first FROM",
		},
		{
			name: "FROM three",
			text: "FROM alpine builder\n",
			want: "Dockerfile:1: FROM requires either one or three arguments",
			hint: "write FROM image, or FROM image AS name",
		},
		{
			name: "stage name",
			text: "FROM alpine AS 1st\n",
			want: `Dockerfile:1: invalid name for build stage: "1st", name can't start with a number or contain symbols`,
			hint: "a stage's name starts with a letter and has only letters, digits, and the characters - _ .",
		},
		{
			name: "platform",
			text: "FROM --platform=linux/x86/v1/v2 alpine\n",
			want: `Dockerfile:1: FROM --platform=linux/x86/v1/v2: "linux/x86/v1/v2": cannot parse platform specifier: invalid argument`,
			hint: "a platform is os/architecture[/variant], such as linux/amd64 or linux/arm64",
		},
		{
			name: "Windows",
			text: "FROM --platform=windows/amd64 alpine\n",
			want: "Dockerfile:1: stage 0 is for Windows, which kiln does not build for",
		},
		{
			name: "platform undeclared",
			text: "FROM --platform=$PLAT alpine\n",
			want: "Dockerfile:1: FROM --platform=$PLAT: there is no platform left after expansion",
			hint: "declare it above the first FROM: ARG PLAT=value",
		},
		{
			name: "SHELL quotes",
			text: "FROM alpine\nSHELL ['/bin/bash', '-c']\n",
			want: "Dockerfile:2: SHELL requires the arguments to be in JSON form",
			hint: "JSON takes double quotes, not single ones",
		},
		{
			name: "SHELL",
			text: "FROM alpine\nSHELL /bin/bash\n",
			want: "Dockerfile:2: SHELL requires the arguments to be in JSON form",
			hint: `write it as ["program", "argument"]`,
		},
		{
			name: "heredoc",
			text: "FROM alpine\nRUN <<EOF\nmake\n EOF\n",
			want: "Dockerfile:2: the here-document has no end",
			hint: "end it with a line that is its delimiter and nothing else: no spaces before it, tabs only after <<-",
		},
		{
			name: "slash in the name of a here-document",
			text: "FROM alpine\nCOPY <<a/b /x\nx\na/b\n",
			want: `Dockerfile:2: COPY: "a/b" cannot be the name of a file`,
		},
		{
			name: "chmod",
			text: "FROM alpine\nCOPY --chmod=999 a b\n",
			want: "Dockerfile:2: COPY --chmod=999: an octal mode is between 0 and 07777",
			hint: "a mode is octal, as 755, or symbolic, as u=rwX,go=rX",
		},
		{
			name: "chmod symbolic",
			text: "FROM alpine\nCOPY --chmod=u+q a b\n",
			want: "Dockerfile:2: COPY --chmod=u+q: invalid syntax",
			hint: "a mode is octal, as 755, or symbolic, as u=rwX,go=rX",
		},
		{
			name: "link",
			text: "FROM alpine\nCOPY --link --chown=www-data a b\n",
			want: "Dockerfile:2: COPY --chown=www-data: with --link, which does not see the image, user and group have to be numbers",
		},
		{
			name: "COPY url",
			text: "FROM alpine\nCOPY https://example.com/x /\n",
			want: "Dockerfile:2: COPY https://example.com/x: COPY does not download",
			hint: "ADD does",
		},
		{
			name: "checksum",
			text: "FROM alpine\nADD --checksum=sha256:1 https://example.com/x /\n",
			want: "Dockerfile:2: ADD --checksum=sha256:1: invalid checksum digest length",
		},
		{
			name: "checksum of file",
			text: "FROM alpine\nADD --checksum=sha256:1 x /\n",
			want: "Dockerfile:2: ADD --checksum is for what is downloaded: a URL or a git repository",
		},
		{
			name: "port",
			text: "FROM alpine\nEXPOSE 80:http\n",
			want: `Dockerfile:2: EXPOSE 80:http: "http" is not a port: a number from 0 to 65535`,
			hint: "a port is number[-number][/tcp|udp|sctp]",
		},
		{
			name: "port far",
			text: "FROM alpine\nEXPOSE 66000\n",
			want: `Dockerfile:2: EXPOSE 66000: "66000" is not a port: a number from 0 to 65535`,
			hint: "a port is number[-number][/tcp|udp|sctp]",
		},
		{
			name: "signal",
			text: "FROM alpine\nSTOPSIGNAL SIGTREM\n",
			want: "Dockerfile:2: STOPSIGNAL SIGTREM: there is no such signal",
			hint: "did you mean SIGTERM?",
		},
		{
			name: "ENV",
			text: "FROM alpine\nENV A\n",
			want: "Dockerfile:2: ENV must have two arguments",
			hint: "write ENV NAME=value",
		},
		{
			name: "COPY one",
			text: "FROM alpine\nCOPY a\n",
			want: "Dockerfile:2: COPY requires at least two arguments, but only one was provided. Destination could not be determined",
			hint: "write COPY source... destination",
		},
		{
			name: "space in an expansion",
			text: "FROM alpine\nENV A=${B:?set B first}\n",
			want: `Dockerfile:2: Syntax error - can't find = in "B". Must be of the form: name=value`,
		},
		{
			name: "required variable",
			text: "FROM alpine\nENV A=\"${B:?set B first}\"\n",
			want: `Dockerfile:2: failed to process "\"${B:?set B first}\"": B: set B first`,
		},
		{
			name: "bad expansion",
			text: "FROM alpine\nENV A=${B\n",
			want: `Dockerfile:2: failed to process "${B": } is missing`,
		},
		{
			name: "escape",
			text: "# escape=x\nFROM alpine\n",
			want: "Dockerfile:1: the escape character cannot be x",
			hint: "it is \\ or `",
		},
		{
			name: "two escapes",
			text: "# escape=\\\n# escape=`\nFROM alpine\n",
			want: "Dockerfile:2: only one escape parser directive can be used",
		},
		{
			name: "check",
			text: "# check=skip\nFROM alpine\n",
			want: `Dockerfile:1: read check directive: invalid check option "skip"`,
			hint: "write it as: # check=skip=RULE,RULE;error=true",
		},
		{
			name: "check error",
			text: "# check=error=true\nFROM alpine as x\n",
			want: "Dockerfile:2: checks failed: FromAsCasing: 'as' and 'FROM' keywords' casing do not match",
			hint: "warnings are errors here because of the check directive or the argument BUILDKIT_DOCKERFILE_CHECK",
		},
		{
			name: "healthcheck",
			text: "FROM alpine\nHEALTHCHECK curl localhost\n",
			want: `Dockerfile:2: Unknown type "CURL" in HEALTHCHECK (try CMD)`,
			hint: "write HEALTHCHECK CMD command, or HEALTHCHECK NONE",
		},
		{
			name: "onbuild",
			text: "FROM alpine\nONBUILD FROM x\n",
			want: "Dockerfile:2: FROM isn't allowed as an ONBUILD trigger",
		},
		{
			name: "security",
			text: "FROM alpine\nRUN --security=insecur make\n",
			want: `Dockerfile:2: security "insecur" is not valid`,
			hint: "did you mean insecure?",
		},
		{
			name: "epoch",
			text: "ARG SOURCE_DATE_EPOCH=yesterday\nFROM alpine\n",
			want: "Dockerfile:1: SOURCE_DATE_EPOCH=yesterday is not a number of seconds since 1970",
			hint: "kiln does not read the time of a stage or a context",
		},
		{
			name: "volume",
			text: "FROM alpine\nVOLUME [\"\"]\n",
			want: "Dockerfile:2: VOLUME specified can not be an empty string",
		},
		{
			name: "secret",
			text: "FROM alpine\nRUN --mount=type=secret make\n",
			want: "Dockerfile:2: invalid secret mount. one of source, target required",
			hint: "name the secret with id=NAME",
		},
		{
			name: "ssh source",
			text: "FROM alpine\nRUN --mount=type=ssh,source=x make\n",
			want: "Dockerfile:2: RUN --mount=type=ssh: it has no source",
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			c.opts.Images = catalog{"alpine": {}}
			f, err := dockerfile.Parse("Dockerfile", []byte(c.text))
			if err == nil {
				_, _, err = dockerfile.Resolve(t.Context(), f, c.opts)
			}
			var e *dockerfile.Error
			if !errors.As(err, &e) {
				t.Fatalf("error is %v", err)
			}
			if e.Error() != c.want {
				t.Errorf("error is %q, want %q", e, c.want)
			}
			if e.Hint() != c.hint {
				t.Errorf("hint is %q, want %q", e.Hint(), c.hint)
			}
		})
	}
}
