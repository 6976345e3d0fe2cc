// Checks proofs, checkpoints and tiles with golang.org/x/mod/sumdb, the Go team's own packages.
//
// Reads one JSON object on standard input and writes one JSON list of booleans, a verdict for each
// case: inclusion cases first, then consistency cases, then one for the tiles.
package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type inclusion struct {
	Entry, Note string
	Index       int64
	Hashes      []string
}

type consistency struct {
	Old, New string
	Hashes   []string
}

type input struct {
	Vkey        string
	Inclusion   []inclusion
	Consistency []consistency
	Tiles       string
	Note        string
}

func hash(text string) (h tlog.Hash) {
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(raw) != tlog.HashSize {
		panic("not a hash")
	}
	copy(h[:], raw)
	return h
}

func hashes(texts []string) (all []tlog.Hash) {
	for _, text := range texts {
		all = append(all, hash(text))
	}
	return all
}

func open(text, vkey string) tlog.Tree {
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		panic(err)
	}
	opened, err := note.Open([]byte(text), note.VerifierList(verifier))
	if err != nil {
		panic(err)
	}
	lines := strings.Split(opened.Text, "\n")
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || lines[0] != verifier.Name() {
		panic("not a checkpoint of this log")
	}
	return tlog.Tree{N: size, Hash: hash(lines[2])}
}

func try(check func() error) (good bool) {
	defer func() {
		if recover() != nil {
			good = false
		}
	}()
	return check() == nil
}

// folder reads tiles as tlog-tiles lays them out: Go's own path has the tile height in it too.
type folder string

func (f folder) Height() int { return 8 }

func (f folder) SaveTiles([]tlog.Tile, [][]byte) {}

func (f folder) ReadTiles(tiles []tlog.Tile) (data [][]byte, err error) {
	for _, tile := range tiles {
		path := strings.Replace(tile.Path(), "tile/8/", "tile/", 1)
		content, err := os.ReadFile(filepath.Join(string(f), path))
		if err != nil {
			return nil, err
		}
		data = append(data, content)
	}
	return data, nil
}

func checkTiles(in input) error {
	tree := open(in.Note, in.Vkey)
	reader := tlog.TileHashReader(tree, folder(in.Tiles))
	for _, each := range in.Inclusion {
		entry, err := base64.StdEncoding.DecodeString(each.Entry)
		if err != nil {
			return err
		}
		found, err := reader.ReadHashes([]int64{tlog.StoredHashIndex(0, each.Index)})
		if err != nil {
			return err
		}
		if found[0] != tlog.RecordHash(entry) {
			return fmt.Errorf("entry %d is another one in the tiles", each.Index)
		}
	}
	return nil
}

func main() {
	var in input
	if err := json.NewDecoder(os.Stdin).Decode(&in); err != nil {
		panic(err)
	}
	verdicts := []bool{}
	for _, each := range in.Inclusion {
		verdicts = append(verdicts, try(func() error {
			tree := open(each.Note, in.Vkey)
			entry, err := base64.StdEncoding.DecodeString(each.Entry)
			if err != nil {
				return err
			}
			leaf := tlog.RecordHash(entry)
			return tlog.CheckRecord(hashes(each.Hashes), tree.N, tree.Hash, each.Index, leaf)
		}))
	}
	for _, each := range in.Consistency {
		verdicts = append(verdicts, try(func() error {
			older, newer := open(each.Old, in.Vkey), open(each.New, in.Vkey)
			return tlog.CheckTree(hashes(each.Hashes), newer.N, newer.Hash, older.N, older.Hash)
		}))
	}
	if in.Tiles != "" {
		verdicts = append(verdicts, try(func() error { return checkTiles(in) }))
	}
	if err := json.NewEncoder(os.Stdout).Encode(verdicts); err != nil {
		panic(err)
	}
}
