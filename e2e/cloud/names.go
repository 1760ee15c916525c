package cloud

import (
	"encoding/binary"
	"fmt"
	"net"
	"strings"
)

// serveNames answers every look-up that reaches the name server with "no such
// name": names that exist are in the hosts file, which is read first. What
// was looked up is journalled under the type of the record, "A" or "AAAA".
func (c *Cloud) serveNames() error {
	var socket net.PacketConn
	err := c.thread.do(func() (err error) {
		socket, err = net.ListenPacket("udp", "127.0.0.1:53")
		return err
	})
	if err != nil {
		return fmt.Errorf("cloud: name server: %w", err)
	}
	c.serves(53)
	c.closeLater(socket)
	c.serving.Go(func() {
		packet := make([]byte, 512)
		for {
			size, client, err := socket.ReadFrom(packet)
			if err != nil {
				return // closed
			}
			question, err := parseQuestion(packet[:size])
			if err != nil {
				continue
			}
			c.Calls.open(Call{Service: "dns", Operation: question.kind, Host: question.name, Summary: "no such name"})
			_, _ = socket.WriteTo(noSuchName(packet[:question.end]), client)
		}
	})
	return nil
}

// dnsHeader is the length of a message's header, RFC 1035 section 4.1.1.
const dnsHeader = 12

type question struct {
	name string // without the last dot
	kind string
	end  int // of the question, from the start of the message
}

// parseQuestion reads the first question of a DNS query, RFC 1035 section 4.1.2.
func parseQuestion(packet []byte) (question, error) {
	if len(packet) < dnsHeader {
		return question{}, fmt.Errorf("cloud: name server: short query of %d bytes", len(packet))
	}
	var labels []string
	rest := packet[dnsHeader:]
	for len(rest) > 0 && rest[0] != 0 {
		length := int(rest[0])
		if length > 63 || length >= len(rest) {
			return question{}, fmt.Errorf("cloud: name server: bad label of %d bytes", length)
		}
		labels = append(labels, string(rest[1:1+length]))
		rest = rest[1+length:]
	}
	if len(rest) < 5 {
		return question{}, fmt.Errorf("cloud: name server: short query of %d bytes", len(packet))
	}
	return question{
		name: strings.Join(labels, "."),
		kind: recordType(binary.BigEndian.Uint16(rest[1:])),
		end:  len(packet) - len(rest) + 5,
	}, nil
}

func recordType(number uint16) string {
	switch number {
	case 1:
		return "A"
	case 28:
		return "AAAA"
	default:
		return fmt.Sprintf("TYPE%d", number)
	}
}

// noSuchName turns a query that ends with its question into its answer: a
// response with recursion available, name error, one question and no records.
func noSuchName(query []byte) []byte {
	answer := append([]byte(nil), query...)
	recursionDesired := query[2] & 1
	answer[2] = 0x80 | recursionDesired
	answer[3] = 0x80 | 3
	copy(answer[4:dnsHeader], []byte{0, 1, 0, 0, 0, 0, 0, 0})
	return answer
}
