package cluster

import (
	"encoding/json"
	"errors"
	"fmt"
)

// leaseRecord is the value of a lease.
type leaseRecord struct {
	Version int    `json:"version"`
	Node    string `json:"node"`
	Process string `json:"process"`
	Attempt string `json:"attempt"`
	Epoch   uint64 `json:"epoch,omitempty"` // 0 in the first write, whose revision it is
	Home    string `json:"home,omitempty"`
	Heir    string `json:"heir,omitempty"` // process to which the pool is being handed over
}

// markRecord says who held a lease last.
type markRecord struct {
	Version int    `json:"version"`
	Process string `json:"process"`
	Epoch   uint64 `json:"epoch"`
}

const (
	leaseVersion = 1
	markVersion  = 1
)

// maxRecord bounds what is looked at: a record of this package has some 300 bytes.
const maxRecord = 4096

func decodeLease(data []byte) (leaseRecord, error) {
	var r leaseRecord
	switch {
	case len(data) > maxRecord:
		return leaseRecord{}, errors.New("is too large for a lease")
	case json.Unmarshal(data, &r) != nil:
		return leaseRecord{}, errors.New("is not the JSON of a lease")
	case r.Version != leaseVersion:
		return leaseRecord{}, fmt.Errorf("has version %d, not %d", r.Version, leaseVersion)
	case !validName(r.Node) || !validProcess(r.Process):
		return leaseRecord{}, errors.New("names no holder")
	case r.Heir != "" && !validProcess(r.Heir):
		return leaseRecord{}, errors.New("names an heir that is no process")
	}
	return r, nil
}
