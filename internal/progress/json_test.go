package progress

import (
	"bytes"
	"os"
	"reflect"
	"strings"
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

func TestEveryFieldIsExplainedInTheDocs(t *testing.T) {
	page, err := os.ReadFile("../../docs/progress.md")
	if err != nil {
		t.Fatal(err)
	}
	fields := reflect.TypeFor[jsonEvent]()
	for i := range fields.NumField() {
		name, _, _ := strings.Cut(fields.Field(i).Tag.Get("json"), ",")
		if !strings.Contains(string(page), "`"+name+"`") {
			t.Errorf("the field %q is not in docs/progress.md", name)
		}
	}
}
