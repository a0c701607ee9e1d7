// A web service that names each request, to have something to build with a
// module from the proxy.
package main

import (
	"fmt"
	"log"
	"net/http"
	"os"

	"github.com/google/uuid"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == "-once" {
		fmt.Println("service ready", uuid.NewSHA1(uuid.NameSpaceDNS, []byte("kiln")))
		return
	}
	http.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "request", uuid.New())
	})
	log.Fatal(http.ListenAndServe(":8080", nil))
}
