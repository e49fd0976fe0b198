// One side of Noise handshakes by github.com/flynn/noise, told what to do over standard input.
//
// A request is LE32 length || operation (1 byte) || fields, a field LE32 length || bytes. An answer is LE32 length || status || one body:
// status 0 with the result, 1 with the library's reason for a refusal. Anything else ends the program with a message and status 1.
// tests/interop/peers.py is the other end and says what each operation is for.
package main

import (
	"bufio"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"io"
	"os"

	"github.com/flynn/noise"
)

type pattern struct {
	tokens noise.HandshakePattern
	psk    int // where the psk stands, or -1
}

// The library makes the protocol name itself, of the pattern and the suite: one that it got wrong would change the first hash.
var patterns = map[string]pattern{
	"Noise_IK_25519_ChaChaPoly_SHA256":     {noise.HandshakeIK, -1},
	"Noise_KK_25519_ChaChaPoly_SHA256":     {noise.HandshakeKK, -1},
	"Noise_KKpsk0_25519_ChaChaPoly_SHA256": {noise.HandshakeKK, 0},
	"Noise_IKpsk2_25519_ChaChaPoly_SHA256": {noise.HandshakeIK, 2},
}

var suite = noise.NewCipherSuite(noise.DH25519, noise.CipherChaChaPoly, noise.HashSHA256)

type peer struct {
	static        noise.DHKey
	initiator     bool
	handshake     *noise.HandshakeState
	send, receive *noise.CipherState
}

func main() {
	static, err := suite.GenerateKeypair(rand.Reader)
	must(err)
	peer := &peer{static: static}
	in, out := bufio.NewReader(os.Stdin), bufio.NewWriter(os.Stdout)
	for {
		operation, fields, more := request(in)
		if !more {
			return
		}
		body, refusal := peer.do(operation, fields)
		status := byte(0)
		if refusal != nil {
			status, body = 1, []byte(refusal.Error())
		}
		must(binary.Write(out, binary.LittleEndian, uint32(1+len(body))))
		must(out.WriteByte(status))
		_, err = out.Write(body)
		must(err)
		must(out.Flush())
	}
}

func (p *peer) do(operation byte, fields [][]byte) ([]byte, error) {
	switch operation {
	case 'K': // the static public key
		return p.static.Public, nil
	case 'B': // begin: name, role, prologue, psk or empty, the other's static key or empty
		p.begin(string(fields[0]), string(fields[1]) == "initiator", fields[2], fields[3], fields[4])
		return nil, nil
	case 'W': // write a handshake message with this payload
		message, up, down, err := p.handshake.WriteMessage(nil, fields[0])
		must(err)
		p.split(up, down)
		return message, nil
	case 'R': // read a handshake message
		payload, up, down, err := p.handshake.ReadMessage(nil, fields[0])
		if err == nil {
			p.split(up, down)
		}
		return payload, err
	case 'H': // the handshake hash
		return p.handshake.ChannelBinding(), nil
	case 'S': // seal: associated data, plaintext
		sealed, err := p.send.Encrypt(nil, fields[0], fields[1])
		must(err)
		return sealed, nil
	case 'O': // open: associated data, sealed
		return p.receive.Decrypt(nil, fields[0], fields[1])
	case 'N': // go on with this counter in both directions, LE64
		p.send.SetNonce(binary.LittleEndian.Uint64(fields[0]))
		p.receive.SetNonce(binary.LittleEndian.Uint64(fields[0]))
		return nil, nil
	}
	must(fmt.Errorf("no operation %q", operation))
	return nil, nil
}

func (p *peer) begin(name string, initiator bool, prologue, psk, remote []byte) {
	known, found := patterns[name]
	if !found {
		must(fmt.Errorf("no pattern %q", name))
	}
	config := noise.Config{
		CipherSuite:   suite,
		Random:        rand.Reader,
		Pattern:       known.tokens,
		Initiator:     initiator,
		Prologue:      prologue,
		StaticKeypair: p.static,
		PeerStatic:    remote,
	}
	if known.psk >= 0 {
		config.PresharedKey, config.PresharedKeyPlacement = psk, known.psk
	}
	var err error
	p.initiator, p.send, p.receive = initiator, nil, nil
	p.handshake, err = noise.NewHandshakeState(config)
	must(err)
}

// The library gives the initiator's sending state first, to both roles, and none before the last message.
func (p *peer) split(up, down *noise.CipherState) {
	if p.initiator {
		p.send, p.receive = up, down
	} else {
		p.send, p.receive = down, up
	}
}

func request(in io.Reader) (operation byte, fields [][]byte, more bool) {
	var length uint32
	if err := binary.Read(in, binary.LittleEndian, &length); err == io.EOF {
		return 0, nil, false
	} else {
		must(err)
	}
	body := make([]byte, length)
	_, err := io.ReadFull(in, body)
	must(err)
	operation, body = body[0], body[1:]
	for len(body) > 0 {
		end := 4 + binary.LittleEndian.Uint32(body)
		fields = append(fields, body[4:end])
		body = body[end:]
	}
	return operation, fields, true
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "flynn peer:", err)
		os.Exit(1)
	}
}
