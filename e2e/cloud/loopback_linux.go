package cloud

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"
)

// raiseLoopback sets the loopback interface up, which it is not in a new
// network namespace.
func raiseLoopback() error {
	index, err := loopbackIndex()
	if err != nil {
		return err
	}
	// struct ifinfomsg: family, padding, type, index, flags, mask of flags
	body := make([]byte, 4, syscall.SizeofIfInfomsg)
	body = binary.NativeEndian.AppendUint32(body, index)
	body = binary.NativeEndian.AppendUint32(body, syscall.IFF_UP)
	body = binary.NativeEndian.AppendUint32(body, syscall.IFF_UP)
	if err := routeRequest(syscall.RTM_NEWLINK, 0, body); err != nil {
		return fmt.Errorf("cloud: enter: raise loopback: %w", err)
	}
	return nil
}

func addLoopbackAddress(ip netip.Addr) error {
	index, err := loopbackIndex()
	if err != nil {
		return err
	}
	family := byte(syscall.AF_INET)
	if ip.Is6() {
		family = syscall.AF_INET6
	}
	// struct ifaddrmsg: family, prefix length, flags, scope, index
	body := []byte{family, byte(ip.BitLen()), syscall.IFA_F_NODAD, syscall.RT_SCOPE_UNIVERSE}
	body = binary.NativeEndian.AppendUint32(body, index)
	for _, kind := range []uint16{syscall.IFA_LOCAL, syscall.IFA_ADDRESS} {
		body = binary.NativeEndian.AppendUint16(body, uint16(syscall.SizeofRtAttr+len(ip.AsSlice())))
		body = binary.NativeEndian.AppendUint16(body, kind)
		body = append(body, ip.AsSlice()...)
	}
	err = routeRequest(syscall.RTM_NEWADDR, syscall.NLM_F_CREATE|syscall.NLM_F_EXCL, body)
	if err != nil && !errors.Is(err, syscall.EEXIST) {
		return err
	}
	return awaitDelivery(ip)
}

// awaitDelivery returns when a datagram sent to ip arrives. What is sent
// earlier is lost: the kernel makes an IPv6 address local only some time after
// it has added it.
func awaitDelivery(ip netip.Addr) error {
	receiver, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(ip, 0)))
	if err != nil {
		return err
	}
	defer receiver.Close()
	giveUp := time.Now().Add(10 * time.Second)
	for {
		_, lost := receiver.WriteTo([]byte{0}, receiver.LocalAddr())
		if lost == nil {
			if err := receiver.SetReadDeadline(time.Now().Add(5 * time.Millisecond)); err != nil {
				return err
			}
			_, _, lost = receiver.ReadFrom(make([]byte, 1))
		}
		if lost == nil || time.Now().After(giveUp) {
			return lost
		}
		time.Sleep(time.Millisecond)
	}
}

func loopbackIndex() (uint32, error) {
	loopback, err := net.InterfaceByName("lo")
	if err != nil {
		return 0, err
	}
	return uint32(loopback.Index), nil
}

// routeRequest sends one message to the kernel's routing socket and waits for
// its acknowledgement.
func routeRequest(kind, flags uint16, body []byte) error {
	socket, err := syscall.Socket(syscall.AF_NETLINK, syscall.SOCK_RAW|syscall.SOCK_CLOEXEC, syscall.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer syscall.Close(socket)

	// struct nlmsghdr: length, type, flags, sequence number, port (0: the kernel chooses)
	message := binary.NativeEndian.AppendUint32(nil, uint32(syscall.NLMSG_HDRLEN+len(body)))
	message = binary.NativeEndian.AppendUint16(message, kind)
	message = binary.NativeEndian.AppendUint16(message, flags|syscall.NLM_F_REQUEST|syscall.NLM_F_ACK)
	message = binary.NativeEndian.AppendUint64(message, 0)
	message = append(message, body...)
	if err := syscall.Sendto(socket, message, 0, &syscall.SockaddrNetlink{Family: syscall.AF_NETLINK}); err != nil {
		return err
	}

	answer := make([]byte, syscall.Getpagesize())
	size, _, err := syscall.Recvfrom(socket, answer, 0)
	if err != nil {
		return err
	}
	parsed, err := syscall.ParseNetlinkMessage(answer[:size])
	if err != nil {
		return err
	}
	if len(parsed) != 1 || parsed[0].Header.Type != syscall.NLMSG_ERROR || len(parsed[0].Data) < 4 {
		return errors.New("the kernel did not acknowledge the request")
	}
	// An acknowledgement is an error message with number 0.
	if number := int32(binary.NativeEndian.Uint32(parsed[0].Data)); number != 0 {
		return syscall.Errno(-number)
	}
	return nil
}
