// Package mirror keeps the persistence tables of the passive node of a pair equal to those of the active one, over one authenticated connection (TCP 7778, TLS with the
// pair's keys; the caller makes it). The active node sends, the passive one takes and answers; which is which is the caller's to say.
//
// A connection begins with a greeting of both sides: magic, version, and the sender's clock. Then the sender goes round its tables, every Interval while there is news and now and then without: for each shard it
// sends what was used since the last round, in the order of use, and a sum of what the shard is; the receiver takes the rows, forgets what is older than the
// sender's oldest entry, compares, and names in its answer the shards that differ. Those are sent as a whole, at most once in a second each. "Equal" is therefore said
// only when the sums of every shard of every table were equal at one moment. A round is answered before the next begins, so nothing piles up at a slow receiver.
//
// Times travel as the sender's clock; the receiver adds a difference that it takes at the greeting and keeps. No wall clock is involved.
//
// Everything is bounded: a frame has at most maxFrame bytes, a table that the receiver does not know is passed over, a row is checked like one of a damaged file, and a
// frame that makes no sense ends the connection with the tables as they were.
package mirror
