package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"strings"

	"evenkeel/appliance"
	"evenkeel/appliance/ha"
)

// maxWitness is the largest file that is read as a pair.
const maxWitness = 64 << 10

// runWitness answers the nodes of pairs until the context ends, and does nothing else: no data folder, no pages, no privileges.
func runWitness(ctx context.Context, args []string, s streams) error {
	f := flags("witness", "witness --listen ADDRESS[,ADDRESS] --pair FILE[,FILE]", s)
	listen := f.String("listen", "", fmt.Sprintf("addresses of this machine on which the nodes ask; the port is %d/udp unless it is named", ha.Port))
	pairs := f.String("pair", "", "copies of DIR/"+ha.WitnessFile+" of one node of each pair")
	if err := parse(f, args, 0); err != nil {
		return err
	}
	if *listen == "" || *pairs == "" {
		return misused(f, "--listen and --pair are needed")
	}
	o := ha.WitnessOptions{Logger: newLog(s.err, slog.LevelInfo)}
	for text := range strings.SplitSeq(*listen, ",") {
		at, err := witnessAddress(text)
		if err != nil {
			return misused(f, "%q is not an address", text)
		}
		o.Listen = append(o.Listen, at)
	}
	for name := range strings.SplitSeq(*pairs, ",") {
		pair, err := witnessedPair(name)
		if err != nil {
			return err
		}
		o.Pairs = append(o.Pairs, pair)
	}
	w, err := ha.NewWitness(o)
	if err != nil {
		return err
	}
	return w.Run(ctx)
}

// witnessAddress reads an address with or without a port.
func witnessAddress(text string) (netip.AddrPort, error) {
	if a, err := netip.ParseAddr(text); err == nil {
		return netip.AddrPortFrom(a, ha.Port), nil
	}
	return netip.ParseAddrPort(text)
}

func witnessedPair(name string) (pair ha.WitnessedPair, err error) {
	f, err := os.Open(name)
	if err != nil {
		return pair, &appliance.Error{
			Kind: appliance.NotFound, Op: "open file", Subject: name, Err: err, Hint: "Copy " + ha.WitnessFile + " from the data folder of one of the nodes.",
		}
	}
	defer f.Close()
	d := json.NewDecoder(io.LimitReader(f, maxWitness))
	d.DisallowUnknownFields()
	if err := d.Decode(&pair); err != nil {
		return pair, &appliance.Error{Kind: appliance.Invalid, Op: "read file", Subject: name, Err: err, Message: name + " does not hold a pair."}
	}
	return pair, nil
}
