package progress

import (
	"bytes"
	"os"
	"testing"
	"testing/synctest"
)

// The names in testdata/example.jsonl are a promise to programs that read them.
func TestJSON(t *testing.T) {
	want, err := os.ReadFile("testdata/example.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		exampleBuild(NewJSON(&out))
		if out.String() != string(want) {
			t.Errorf("printed:\n%s\nwant:\n%s", &out, want)
		}
	})
}
