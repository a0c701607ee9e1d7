// Package conformance holds the suite that compares kiln's images with those of
// other builders. All of it is test code: the package is empty without.
//
// A case is one file, testdata/THEME/NAME.txtar: what a Dockerfile and a few
// files around it are to become. Its comment says in words what is shown, and in
// a few commands what text files cannot say: modes, links, archives, base
// images. Its last section, "@want", is the image as a builder made it that is
// known to be right, or as the Dockerfile reference describes it.
//
//	make conformance                                      # everything
//	go test ./internal/conformance -run 'Conformance/copy-link'  # a theme
//	go test ./internal/conformance -run 'Conformance/run/user-group/overlay'
//	go test ./internal/conformance -update-reference -run …  # ask the builder again
//
// # A case
//
//	# Lines that start with # are for readers.
//	chmod 4755 tool
//	-- Dockerfile --
//	FROM registry.test/base
//	COPY tool /bin/
//	-- tool --
//	#!/bin/sh
//	-- @want --
//	…
//
// Files whose names do not start with @ are the build context. Of the others,
// @want is what the image should be, @Dockerfile is a Dockerfile beside the
// context, @secret/ID is a secret, @named/NAME/PATH is a file of the named
// context NAME, @www/PATH is served by http://server.test/PATH and
// @git/NAME/PATH is committed to the repository http://git.test/NAME.git.
//
// registry.test, server.test and git.test stand for servers on the loopback
// interface that run while the tests do; what they are called in an image or a
// message is written as these names again.
//
// # Commands: what is to be made of it
//
//	written WHY…         the wanted image is written by hand; WHY names its source
//	newer OLD NEW        BuildKit's history says NEW today where Docker 20.10 says OLD
//	stub PATH…           directories Docker 20.10 mounts on and leaves; BuildKit
//	                     today removes them
//	buildah              Buildah made the wanted image, not Docker
//	fails LINE CLASS     the build fails at that line (0: none), see classes
//	says TEXT            kiln's output holds the text
//	hides TEXT           kiln's output does not hold the text
//	layers               compare what each layer changes, not only their sum
//	dirtimes             compare the modification times of directories too
//	not ENGINE WHY…      the engine (or: rootless, cached) cannot do this
//
// # Commands: how it is built
//
//	arg NAME=VALUE       --build-arg; several
//	env NAME=VALUE       a variable of the builder's own environment
//	target NAME          --target
//	platform OS/ARCH     --platform
//	flag WORD…           other flags
//	secret ID            --secret of the file @secret/ID
//	ssh ID               --ssh of an agent with one key
//	dockerfile PATH      -f PATH, in the context
//	stdin                the Dockerfile is read from the standard input
//	context PATH         the context is this directory of the files
//	named NAME [SOURCE]  --build-context, @named/NAME where no source is given
//
// # Commands: the context
//
//	file PATH TEXT       a file whose name or text needs quotes, as in Go
//	base64 PATH          a file; its content follows, indented
//	mkdir PATH [MODE]    a directory
//	link OLD NEW         a hard link
//	symlink TARGET PATH  a symbolic link
//	fifo PATH            a named pipe
//	socket PATH          a Unix socket
//	char PATH MAJOR:MINOR  a character device
//	chmod MODE PATH…
//	chown UID:GID PATH…
//	xattr PATH NAME TEXT
//	capability PATH      the file capability cap_net_raw=ep
//	mtime PATH TIME      a time as in RFC 3339
//	size PATH BYTES      makes a file that long, with holes
//	many DIR COUNT       files named 0, 1, 2 …
//	repeat PATH COUNT TEXT  adds a text COUNT times; {n} counts, {prev} is {n}-1
//	crlf PATH            line ends become CR LF
//	bom PATH             a UTF-8 byte order mark at the start
//	chop PATH            the last line loses its end
//	archive PATH         a tar archive; its entries follow, indented
//	serve PATH HEADER VALUE  a header of the answer for @www/PATH
//
// # Commands: base images
//
//	image NAME [FROM]    an image registry.test/own/NAME; these follow, indented:
//	  config JSON        fields of the config's config
//	  platform OS/ARCH
//	  format oci|docker
//	  annotation KEY VALUE
//	  layer              its entries follow, indented further
//	index NAME IMAGE…    an index of images made before
//	layout NAME IMAGE    an OCI layout for: named NAME
//
// # Entries of archives and layers
//
//	dir PATH [MODE] [UID:GID]
//	file PATH [MODE] [UID:GID] [TEXT]
//	symlink PATH TARGET, link PATH TARGET
//	fifo PATH, char PATH MAJOR:MINOR, block PATH MAJOR:MINOR
//
// and after each any of time=TIME, size=BYTES (filled with zeros) and
// xattr:NAME=TEXT. Names are written into the archive as they are.
package conformance
