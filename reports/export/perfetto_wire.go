package export

import (
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// Fields of the messages that a trace is made of, by the official
// protos/perfetto/trace/*.proto.
const (
	tracePacket protowire.Number = 1 // of Trace

	packetClockSnapshot   protowire.Number = 6 // of TracePacket
	packetTimestamp       protowire.Number = 8
	packetSequence        protowire.Number = 10
	packetTrackEvent      protowire.Number = 11
	packetInterned        protowire.Number = 12
	packetSequenceFlags   protowire.Number = 13
	packetPreviousDropped protowire.Number = 42
	packetDefaults        protowire.Number = 59
	packetTrack           protowire.Number = 60
	packetPerfSample      protowire.Number = 66
	packetFirst           protowire.Number = 87
	defaultsClock         protowire.Number = 58 // of TracePacketDefaults

	snapshotClock   protowire.Number = 1 // of ClockSnapshot
	snapshotPrimary protowire.Number = 2
	clockID         protowire.Number = 1 // of ClockSnapshot.Clock
	clockTime       protowire.Number = 2

	trackID      protowire.Number = 1 // of TrackDescriptor
	trackName    protowire.Number = 2
	trackProcess protowire.Number = 3
	trackThread  protowire.Number = 4
	trackParent  protowire.Number = 5
	trackCounter protowire.Number = 8
	processPID   protowire.Number = 1 // of ProcessDescriptor
	processName  protowire.Number = 6
	threadPID    protowire.Number = 1 // of ThreadDescriptor
	threadTID    protowire.Number = 2
	threadName   protowire.Number = 5

	eventCategory   protowire.Number = 3 // of TrackEvent, interned
	eventArgument   protowire.Number = 4
	eventType       protowire.Number = 9
	eventNameID     protowire.Number = 10 // interned
	eventTrack      protowire.Number = 11
	eventName       protowire.Number = 23
	eventCounter    protowire.Number = 44 // double
	eventFlow       protowire.Number = 47
	eventFlowEnd    protowire.Number = 48
	argumentName    protowire.Number = 1 // of DebugAnnotation, interned
	argumentInteger protowire.Number = 4
	argumentText    protowire.Number = 6

	internedCategories protowire.Number = 1 // of InternedData
	internedNames      protowire.Number = 2
	internedArguments  protowire.Number = 3
	internedFunctions  protowire.Number = 5
	internedFrames     protowire.Number = 6
	internedStacks     protowire.Number = 7
	internedPaths      protowire.Number = 17
	internedMappings   protowire.Number = 19
	internedID         protowire.Number = 1 // of what is interned
	internedText       protowire.Number = 2
	frameFunction      protowire.Number = 2 // of Frame
	frameMapping       protowire.Number = 3
	frameOffset        protowire.Number = 4
	stackFrame         protowire.Number = 2 // of Callstack
	mappingPath        protowire.Number = 7 // of Mapping

	sampleCPU   protowire.Number = 1 // of PerfSample
	samplePID   protowire.Number = 2
	sampleTID   protowire.Number = 3
	sampleStack protowire.Number = 4
)

// Stored numbers of the same files.
const (
	clockRealtime  = 1
	clockMonotonic = 3

	typeBegin   = 1
	typeEnd     = 2
	typeInstant = 3
	typeCounter = 4

	flagsCleared = 1 // SEQ_INCREMENTAL_STATE_CLEARED
	flagsNeeds   = 2 // SEQ_NEEDS_INCREMENTAL_STATE
)

// message is a protobuf message being written.
type message []byte

func (m *message) integer(n protowire.Number, v uint64) {
	*m = protowire.AppendTag(*m, n, protowire.VarintType)
	*m = protowire.AppendVarint(*m, v)
}

func (m *message) fixed(n protowire.Number, v uint64) {
	*m = protowire.AppendTag(*m, n, protowire.Fixed64Type)
	*m = protowire.AppendFixed64(*m, v)
}

func (m *message) double(n protowire.Number, v float64) { m.fixed(n, math.Float64bits(v)) }

func (m *message) text(n protowire.Number, s string) {
	*m = protowire.AppendTag(*m, n, protowire.BytesType)
	*m = protowire.AppendString(*m, s)
}

// inner writes a message that fill fills. It is written behind its place and
// moved, as its length comes first.
func (m *message) inner(n protowire.Number, fill func(m *message)) {
	*m = protowire.AppendTag(*m, n, protowire.BytesType)
	at := len(*m)
	fill(m)
	length := len(*m) - at
	prefix := protowire.SizeVarint(uint64(length))
	for range prefix {
		*m = append(*m, 0)
	}
	copy((*m)[at+prefix:], (*m)[at:at+length])
	protowire.AppendVarint((*m)[:at], uint64(length))
}
