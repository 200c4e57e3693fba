package record

import "kmon/format"

// maxLate bounds the sockets that are remembered at a turn, 4 MB.
const maxLate = 16384

// late knows the sockets that ended shortly before a part began. An exchange of
// one that a CPU was still at work on comes after the turn; the part then gets
// the row of its socket again.
type late struct {
	ending []format.Socket         // of the part that is about to end
	before map[int64]format.Socket // of the part before, whose exchanges have not come
}

// see takes rows of sockets while the part is about to end.
func (l *late) see(rows []format.Socket) {
	for i := range rows {
		if rows[i].Event == format.SocketClose && len(l.ending) < maxLate {
			l.ending = append(l.ending, rows[i])
		}
	}
}

// turn begins another part.
func (l *late) turn() {
	l.before = make(map[int64]format.Socket, len(l.ending))
	for _, row := range l.ending {
		l.before[row.SocketID] = row
	}
	l.ending = nil
}

// missing returns the sockets of exchanges that the part does not have.
func (l *late) missing(exchanges []format.Exchange) (rows []format.Socket) {
	if len(l.before) == 0 {
		return nil
	}
	for i := range exchanges {
		if row, ended := l.before[exchanges[i].SocketID]; ended {
			rows = append(rows, row)
			delete(l.before, row.SocketID)
		}
	}
	return rows
}
