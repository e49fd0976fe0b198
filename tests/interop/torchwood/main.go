// A judge of published trees: torchwood, a foreign implementation of the C2SP transparency log specifications.
//
// Arguments: the directory of a tree, the log's key, a witness's name and its secret (hex; the library makes a verifier of nothing else). It opens the checkpoint with both, reads every entry through the tiles,
// each verified against the signed root, asks for the proof of each, and writes {"size": N, "entries": [base64, ...], "time": seconds}.
package main

import (
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type directory string

func (d directory) ReadTiles(ctx context.Context, tiles []tlog.Tile) (data [][]byte, err error) {
	for _, tile := range tiles {
		read, err := d.ReadEndpoint(ctx, torchwood.TilePath(tile))
		if err != nil {
			return nil, err
		}
		data = append(data, read)
	}
	return data, nil
}

func (d directory) SaveTiles([]tlog.Tile, [][]byte) {}

func (d directory) ReadEndpoint(_ context.Context, path string) ([]byte, error) {
	return os.ReadFile(filepath.Join(string(d), path))
}

type answer struct {
	Size    int64    `json:"size"`
	Entries [][]byte `json:"entries"`
	Time    int64    `json:"time"`
}

func judge(tree directory, logKey, name, secret string) (a answer, err error) {
	ctx := context.Background()
	raw, err := tree.ReadEndpoint(ctx, "checkpoint")
	if err != nil {
		return a, err
	}
	log, err := note.NewVerifier(logKey)
	if err != nil {
		return a, err
	}
	seed, err := hex.DecodeString(secret)
	if err != nil {
		return a, err
	}
	signer, err := torchwood.NewCosignatureSigner(name, ed25519.NewKeyFromSeed(seed))
	if err != nil {
		return a, err
	}
	witness := signer.Verifier()
	opened, err := note.Open(raw, note.VerifierList(log, witness))
	if err != nil {
		return a, err
	}
	if len(opened.Sigs) != 2 {
		return a, fmt.Errorf("%d known signatures, wanted 2", len(opened.Sigs))
	}
	for _, signature := range opened.Sigs {
		if signature.Name == witness.Name() && signature.Hash == witness.KeyHash() {
			if a.Time, err = torchwood.CosignatureTimestamp(signature); err != nil {
				return a, err
			}
		}
	}
	says, err := torchwood.ParseCheckpoint(opened.Text)
	if err != nil {
		return a, err
	}
	client, err := torchwood.NewClient(tree)
	if err != nil {
		return a, err
	}
	a.Size = says.N
	for index := int64(0); index < says.N; index++ {
		entry, proof, err := client.Entry(ctx, says.Tree, index)
		if err != nil {
			return a, err
		}
		if err := tlog.CheckRecord(proof, says.N, says.Hash, index, tlog.RecordHash(entry)); err != nil {
			return a, err
		}
		a.Entries = append(a.Entries, entry)
	}
	return a, nil
}

func main() {
	told, err := judge(directory(os.Args[1]), os.Args[2], os.Args[3], os.Args[4])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if err := json.NewEncoder(os.Stdout).Encode(told); err != nil {
		os.Exit(2)
	}
}
