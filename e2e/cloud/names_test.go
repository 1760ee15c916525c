package cloud

import "testing"

func TestParseQuestion(t *testing.T) {
	header := "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00"
	tests := []struct {
		name, query string
		want        question
		refused     bool
	}{
		{"A", header + "\x01a\x02bc\x00\x00\x01\x00\x01", question{"a.bc", "A", 22}, false},
		{"AAAA, with more after it", header + "\x01a\x00\x00\x1c\x00\x01\x00\x00", question{"a", "AAAA", 19}, false},
		{"root", header + "\x00\x00\x0f\x00\x01", question{"", "TYPE15", 17}, false},
		{"no header", "\x12\x34", question{}, true},
		{"no question", header, question{}, true},
		{"label that runs out", header + "\x05ab", question{}, true},
		{"label that is a pointer", header + "\xc0\x0c\x00\x01\x00\x01", question{}, true},
		{"no type", header + "\x01a\x00\x00", question{}, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := parseQuestion([]byte(test.query))
			if got != test.want || (err != nil) != test.refused {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
}

func TestNoSuchName(t *testing.T) {
	query := "\x12\x34\x01\x20\x00\x01\x00\x00\x00\x00\x00\x01\x01a\x00\x00\x01\x00\x01"
	want := "\x12\x34\x81\x83\x00\x01\x00\x00\x00\x00\x00\x00\x01a\x00\x00\x01\x00\x01"
	if got := noSuchName([]byte(query)); string(got) != want {
		t.Errorf("%x, want %x", got, want)
	}
}
