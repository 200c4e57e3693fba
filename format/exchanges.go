package format

import (
	"fmt"
	"slices"
)

// exchangeColumns gives the columns of exchanges by name.
var exchangeColumns = func() map[string]column {
	byName := map[string]column{}
	for _, c := range tableOf[Exchange]().columns {
		byName[c.name] = c
	}
	return byName
}()

// ReadExchanges reads the segment, which must be one of table exchanges, into
// dst, sorted by StartNs. It reuses the memory of dst. Different segments may be
// read at the same time.
func (s Segment) ReadExchanges(dst *ExchangeColumns) error {
	if s.Table != "exchanges" {
		return fmt.Errorf("%s: segment %s holds no exchanges", s.capture.Path, s.Name)
	}
	return s.read(func(o *openSegment) error {
		if err := o.readExchangeColumns(dst); err != nil {
			return err
		}
		o.order.sortColumns(dst)
		return nil
	})
}

func (o *openSegment) readExchangeColumns(dst *ExchangeColumns) error {
	if err := o.readSockets(dst); err != nil {
		return fmt.Errorf("column socket_id: %w", err)
	}
	wide := []namedColumn{
		{"start_ns", &dst.StartNs}, {"upload_ns", &dst.UploadNs}, {"server_ns", &dst.ServerNs},
		{"download_ns", &dst.DownloadNs}, {"request_bytes", &dst.RequestBytes}, {"answer_bytes", &dst.AnswerBytes},
	}
	for _, c := range wide {
		if err := readExchangeColumn(o, c.name, c.to); err != nil {
			return err
		}
	}
	narrow := []struct {
		name string
		to   *[]int32
	}{
		{"request_messages", &dst.RequestMessages}, {"answer_messages", &dst.AnswerMessages},
		{"pid", &dst.PID}, {"tid", &dst.TID},
	}
	for _, c := range narrow {
		if err := readExchangeColumn(o, c.name, c.to); err != nil {
			return err
		}
	}
	if err := readExchangeColumn(o, "flags", &dst.Flags); err != nil {
		return err
	}
	return o.readWaits(dst)
}

// readWaits reads what accounted exchanges have more than others.
func (o *openSegment) readWaits(dst *ExchangeColumns) error {
	waits := dst.waits()
	for _, c := range waits {
		*c.to = (*c.to)[:0]
	}
	chunks, err := o.chunksOf(exchangeColumns["flags"])
	if err != nil || chunks == nil {
		return err
	}
	if may, err := o.mayHaveFlag(chunks, ExchangeAccounted); err != nil || !may {
		return err
	}
	for _, c := range waits {
		if err := readExchangeColumn(o, c.name, c.to); err != nil {
			return err
		}
	}
	return nil
}

// readExchangeColumn reads one column into *to.
func readExchangeColumn[T integer](o *openSegment, name string, to *[]T) error {
	*to = resize(*to, o.rows)
	chunks, err := o.chunksOf(exchangeColumns[name])
	if err != nil {
		return err
	}
	if chunks == nil {
		clear(*to)
		return nil
	}
	if err := readNumbers(o.decoder, chunks, *to); err != nil {
		return fmt.Errorf("column %s: %w", name, err)
	}
	return nil
}

// readSockets fills SocketIDs and Socket. The dictionary of the column is
// SocketIDs as it stands, unless the writer used none or several.
func (o *openSegment) readSockets(dst *ExchangeColumns) error {
	dst.Socket = resize(dst.Socket, o.rows)
	dst.SocketIDs = dst.SocketIDs[:0]
	chunks, err := o.chunksOf(exchangeColumns["socket_id"])
	if err != nil {
		return err
	}
	if chunks == nil {
		clear(dst.Socket)
		if o.rows > 0 {
			dst.SocketIDs = append(dst.SocketIDs, 0)
		}
		return nil
	}
	if len(chunks) == 1 {
		done, err := o.readSocketDictionary(chunks[0], dst)
		if done || err != nil {
			return err
		}
	}
	o.wide = resize(o.wide, o.rows)
	if err := readNumbers(o.decoder, chunks, o.wide); err != nil {
		return err
	}
	o.table.reset(dst.SocketIDs, 0)
	for i, id := range o.wide {
		dst.Socket[i] = o.table.number(id)
	}
	dst.SocketIDs, o.table.ids = o.table.ids, nil
	return nil
}

// readSocketDictionary reads the column when it is one dictionary of distinct
// values and pages of indexes; done is false when it is not.
func (o *openSegment) readSocketDictionary(c chunk, dst *ExchangeColumns) (done bool, err error) {
	rest, dictionaries, indexed := dst.Socket, 0, true
	err = o.pages(c, func(p *page) error {
		if p.kind == pageDictionary {
			dictionaries++
			dst.SocketIDs = resize(dst.SocketIDs, p.values)
			data, err := p.data()
			if err != nil {
				return err
			}
			return decodePlain(dst.SocketIDs, data)
		}
		if indexed = indexed && p.indexed(); !indexed {
			return nil
		}
		out := rest[:p.values]
		rest = rest[p.values:]
		return p.indexes(out, len(dst.SocketIDs))
	})
	if err != nil || dictionaries != 1 || !indexed {
		return false, err
	}
	return o.distinct(dst.SocketIDs), nil
}

// distinct says whether all values differ.
func (o *openSegment) distinct(ids []int64) bool {
	o.table.reset(o.table.ids, len(ids))
	for i, id := range ids {
		if int(o.table.number(id)) != i {
			return false
		}
	}
	return true
}

// SocketsWithFlag gives, sorted, the sockets of the segment that have a row
// with any of the flags. It reads only the flags' dictionary when that has no
// such value, else the columns flags and socket_id.
func (s Segment) SocketsWithFlag(flags ExchangeFlags) (ids []int64, err error) {
	if s.Table != "exchanges" {
		return nil, fmt.Errorf("%s: segment %s holds no exchanges", s.capture.Path, s.Name)
	}
	err = s.read(func(o *openSegment) error {
		ids, err = o.socketsWithFlag(flags)
		return err
	})
	return ids, err
}

func (o *openSegment) socketsWithFlag(flags ExchangeFlags) ([]int64, error) {
	chunks, err := o.chunksOf(exchangeColumns["flags"])
	if err != nil || chunks == nil {
		return nil, err
	}
	if may, err := o.mayHaveFlag(chunks, flags); err != nil || !may {
		return nil, err
	}
	var c ExchangeColumns
	if err := readExchangeColumn(o, "flags", &c.Flags); err != nil {
		return nil, err
	}
	if err := o.readSockets(&c); err != nil {
		return nil, err
	}
	has := make([]bool, len(c.SocketIDs))
	for i, f := range c.Flags {
		if f&flags != 0 {
			has[c.Socket[i]] = true
		}
	}
	var ids []int64
	for i, id := range c.SocketIDs {
		if has[i] {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids, nil
}

// mayHaveFlag looks at the dictionary of the flags only. Where values stand
// outside of a dictionary it says yes.
func (o *openSegment) mayHaveFlag(chunks []chunk, flags ExchangeFlags) (bool, error) {
	may := false
	for _, c := range chunks {
		err := o.pages(c, func(p *page) error {
			if p.kind != pageDictionary {
				may = may || !p.indexed()
				return nil
			}
			dict := make([]ExchangeFlags, p.values)
			data, err := p.data()
			if err == nil {
				err = decodePlain(dict, data)
			}
			may = may || slices.ContainsFunc(dict, func(f ExchangeFlags) bool { return f&flags != 0 })
			return err
		})
		if err != nil {
			return false, err
		}
	}
	return may, nil
}
