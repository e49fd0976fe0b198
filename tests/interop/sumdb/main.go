// A judge of notes, trees and proofs: Go's own code of its checksum database (golang.org/x/mod/sumdb).
//
// One JSON object a line comes in, one goes out: {"error": ""} when it holds, else why not. Ops: "note" (vkey, note), "record" (proof,
// size, root, index, leaf), "tree" (proof, size, root, old, old_root), and "prove" (leaves, index, old), whose answer has the root, the proof
// that leaf `index` is there and the proof that the tree begins with `old` leaves. Bytes are base64.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type request struct {
	Op, VKey      string
	Note          []byte
	Proof, Leaves [][]byte
	Size, Index   int64
	Old           int64
	Root, Leaf    []byte
	OldRoot       []byte `json:"old_root"`
}

type answer struct {
	Error  string   `json:"error"`
	Root   []byte   `json:"root,omitempty"`
	Record [][]byte `json:"record,omitempty"`
	Tree   [][]byte `json:"tree,omitempty"`
}

func hash(raw []byte) (h tlog.Hash) {
	copy(h[:], raw)
	return h
}

func hashes(raw [][]byte) []tlog.Hash {
	made := make([]tlog.Hash, len(raw))
	for i := range raw {
		made[i] = hash(raw[i])
	}
	return made
}

func plain(proof []tlog.Hash) [][]byte {
	made := [][]byte{}
	for i := range proof {
		made = append(made, proof[i][:])
	}
	return made
}

func prove(r request) (a answer, err error) {
	var stored []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		made := make([]tlog.Hash, len(indexes))
		for i, x := range indexes {
			made[i] = stored[x]
		}
		return made, nil
	})
	for i, entry := range r.Leaves {
		more, err := tlog.StoredHashes(int64(i), entry, reader)
		if err != nil {
			return a, err
		}
		stored = append(stored, more...)
	}
	size := int64(len(r.Leaves))
	root, err := tlog.TreeHash(size, reader)
	if err != nil {
		return a, err
	}
	record, err := tlog.ProveRecord(size, r.Index, reader)
	if err != nil {
		return a, err
	}
	tree, err := tlog.ProveTree(size, r.Old, reader)
	return answer{Root: root[:], Record: plain(record), Tree: plain(tree)}, err
}

func judge(r request) (answer, error) {
	switch r.Op {
	case "note":
		verifier, err := note.NewVerifier(r.VKey)
		if err != nil {
			return answer{}, err
		}
		_, err = note.Open(r.Note, note.VerifierList(verifier))
		return answer{}, err
	case "record":
		return answer{}, tlog.CheckRecord(hashes(r.Proof), r.Size, hash(r.Root), r.Index, hash(r.Leaf))
	case "tree":
		return answer{}, tlog.CheckTree(hashes(r.Proof), r.Size, hash(r.Root), r.Old, hash(r.OldRoot))
	case "prove":
		return prove(r)
	}
	return answer{}, fmt.Errorf("unknown op %q", r.Op)
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 64<<20)
	out := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		var r request
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			panic(err)
		}
		a, err := judge(r)
		if err != nil {
			a.Error = err.Error()
		}
		out.Encode(a)
	}
}
