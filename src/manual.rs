//! The reasons: attacks and our answers, why every default is that number, what is left out.
//!
//! Code says what is done and cites the clause that asks for it. Where a choice was free, or the
//! letter of an RFC was left on purpose, the argument stands here.
//!
//! # Attacks and answers
//!
//! | attack | answer |
//! |---|---|
//! | blind reset (RFC 5961 section 3) | only an exact match resets (of RCV.NXT, and of two numbers named below); the rest of the window is challenged |
//! | blind SYN (RFC 5961 section 4) | challenged in every synchronized state |
//! | blind data (RFC 5961 section 5) | an ACK outside `SND.UNA - MAX.SND.WND ..= SND.NXT`, or of what lies before our first byte, is challenged and the text dropped |
//! | ACK war, challenge flood | one challenge, and one ACK of an old segment without text, in 500 ms (a setting) for each connection. The limit is not shared, so it is no side channel (CVE-2016-5696) |
//! | blind ICMP (RFC 5927) | an error counts only if what it quotes is in flight; established connections do not end by one; a path MTU below 552 (IPv6: 1280) is not believed |
//! | SYN flood | half-open entries have no buffers, their number is bounded for each listener, and the oldest makes room |
//! | flood of connections | a bound for the accept queue and for the stack; beyond it SYNs are dropped, not reset |
//! | choosing four-tuples that collide | the table's hash is keyed |
//! | guessing sequence numbers, ports, clocks | RFC 6528, RFC 6056, and timestamps with a secret offset for each pair of hosts |
//! | TIME-WAIT assassination (RFC 1337) | a reset does not end TIME-WAIT |
//! | text into thousands of holes | 512 islands for each connection; one more is dropped and sent again |
//! | crumbs of text to a reader that does not read | text lies in a ring at its final place and costs its own size; the window bounds it |
//! | a thousand peers that fill their windows | one bound for the buffers of all connections: see below |
//! | shrinking windows | what was sent is sent again as long as the peer answers; new text waits |
//! | a window that stays closed (sockstress) | probing goes on as RFC 9293 section 3.8.6.1 asks, without growing memory; the application's user timeout ends it |
//! | tiny MSS (CVE-2019-11479) | the send MSS is at least 48 |
//! | ACK division (Savage 1999) | windows grow by bytes acknowledged, not by ACKs |
//! | optimistic ACKs | an ACK of what was never sent is challenged |
//! | floods of duplicate ACKs | they release no more new data than is outstanding |
//! | floods of SACK blocks | see below: a block costs the logarithm of what is in flight, and what it reports for the first time |
//! | SACK blocks of what was never sent, or in the middle of segments | ignored; only whole segments count as reported |
//! | a peer that takes back what it has reported | nothing is forgotten before it is acknowledged (RFC 2018 section 8) |
//! | D-SACKs and echoes that undo each reduction | they lie about as much as ACKs of what has not arrived: the window grows back to what it was, once, and no further |
//! | echoes of congestion without end | the window is reduced once for each window of data, and a window of one segment is held to one in each RTO (RFC 3168 section 6.1.2) |
//! | counters of marks that mean nothing | whatever they say reduces the window once for each window of data, too; they wrap, and nothing is kept for each (RFC 9768) |
//! | replies as a weapon | one bounded queue (256 packets, 128 KiB) for everything owed to strangers; ICMP errors are limited to 1,000 a second |
//! | source routes, martians, land | dropped and counted, each by its own reason |
//!
//! # Defaults
//!
//! Where nothing else is said the number is Linux's, so that peers see what they are used to.
//!
//! | setting | default | reason |
//! |---|---|---|
//! | initial window | 10 segments | RFC 6928 |
//! | initial RTO | 1 s | RFC 6298 section 2.1 |
//! | least RTO | SRTT + 200 ms | RFC 6298 asks for a second; 200 ms outlasts a peer's delayed ACK, and every recovery is five times as quick |
//! | most RTO | 120 s | RFC 6298 section 2.5 wants at least 60 s |
//! | SYN retries | 7 | 1 + 2 + 4 + ... + 64 s and the largest RTO, 120 s: 247 s before a connect fails. RFC 9293 section 3.8.3 wants at least three minutes (MUST-23), which the 127 s of Linux's six are not. Linux since 6.5 also sends the first four a second apart; doubling from the start is what RFC 6298 section 5.5 says, and kinder to a server that is flooded |
//! | SYN-ACK retries | 5 | 63 s |
//! | R1 | 3 retransmissions | RFC 9293 section 3.8.3 (SHLD-10); the application is told, and the IP layer forgets the path's MTU |
//! | retries, R2 | 15 | about 15 minutes at the least RTO: RFC 9293 section 3.8.3 wants at least 100 s (SHLD-11) |
//! | an orphan's retries | 8 | nobody waits for it |
//! | delayed ACK | 40 ms | RFC 9293 section 3.8.6.3 allows 500 ms (MUST-40); 40 ms is what Nagle's algorithm at the other end can bear |
//! | quick ACKs | the first 16 segments | the peer is in slow start, and every ACK opens its window |
//! | Nagle | on, in Minshall's form | RFC 9293 section 3.7.4 (SHLD-7). A small segment waits only for another small one, so a stream's last segment never waits for full ones |
//! | keep-alive | off; then 2 h, 75 s, 9 probes | RFC 9293 section 3.8.4 (MUST-25, MUST-28) |
//! | FIN-WAIT-2 of an orphan | 60 s | the peer may never close; `tcp_fin_timeout` |
//! | TIME-WAIT | 60 s | 2 MSL with an MSL of 30 s |
//! | TIME-WAIT records | 262,144 | 24 MiB at 96 bytes each |
//! | half-open entries, accept queue | 4,096 each for a listener | `somaxconn` |
//! | connections | 4,194,304 | 2 GiB at 512 bytes each |
//! | receive window | 64 KiB, growing to 6 MiB with what the reader takes in a round-trip time: twice that, and up to six times while it grows | Linux's rule (dynamic right-sizing): a sender in slow start is never held back, and a slow path is not offered megabytes. Memory is taken only by what waits |
//! | send buffer | a power of two, once to twice the congestion window and what is lost or reported beyond a hole, 128 KiB to 4 MiB | enough to keep the window full, also while a hole is being filled, and small enough to stay in cache |
//! | room in the send buffer | told from a third of it on | as Linux; the application is not woken by each ACK |
//! | memory of all buffers | 1 GiB | the largest buffers both ways of a hundred connections, or the first window of 16,000; Linux allows about as much (`tcp_mem`) on a machine of 11 GiB |
//! | drained buffers and empty flights kept for the next | 64 of each kind, with at most 2 MiB | a batch of packets sets no more connections to work; they drain with each question and answer, and nothing need be allocated for the next |
//! | headers kept for the next segment | those of 1,024 connections | 140 KiB; to make new ones costs about as much as the checksum of a segment |
//! | window scale | what announces the largest receive buffer | 7 for 6 MiB |
//! | MSS floor | 48 | see above |
//! | congestion control | CUBIC with HyStart++ | RFC 9438, RFC 9406; what peers are used to from Linux. NewReno and BBR are there to choose, and others can be brought along (`tcp::congestion::Controller`); the choice can be changed on a live connection, which keeps its window |
//! | restart after idle | window back to 10 segments after a pause of one RTO (a setting) | RFC 5681 section 4.1; ssthresh keeps what was learnt |
//! | tail loss probe | after two round trips and 2 ms; 200 ms for a single segment; never after the RTO; also while losses are being repaired | RFC 8985 section 7; a lost FIN or last segment does not wait for a timeout. The terms added are Linux's; of losses see below |
//! | reordering window | none before reordering has been seen, once three segments are reported or losses are being repaired; else a quarter of the least round-trip time of the last five minutes, more with each round trip that brings a D-SACK, at most a round trip | RFC 8985 section 6.2 |
//! | reordering timer | 2 ms later than the RFC's sum | the grain of clocks, as in Linux |
//! | runs of reported segments | 4,096 | with every hundredth segment lost a window of 600 MB has so many |
//! | least burst | 2 full-sized segments | the last of a burst is marked with PSH, as Linux does, so that a receiver which gathers segments passes them on |
//! | islands beyond holes | 512 | a window of 6 MiB with every twentieth segment missing has about 200 |
//! | ECN | agreed to when the peer asks, not asked for | `tcp_ecn` 2: some middleboxes still drop a SYN that asks (RFC 3168 section 6.1.1.1) |
//! | accurate ECN | not agreed to | as Linux, which has it for `tcp_ecn` 3 and 5 only; no controller makes use of more than one mark in a round trip |
//! | spinning | the program 50 us, the library off | see below |
//! | TTL | 64 | |
//! | Differentiated Services field | 0 | no service is asked for; ECN has its two bits to itself |
//! | don't fragment | set | path MTU discovery (RFC 1191) |
//!
//! # Offload
//!
//! A segment between this host and the stack crosses no wire. `OffloadTun` lets the kernel pass it on as
//! one super-segment of up to 64 KiB and without a checksum, behind a virtio-net header that says so.
//! The program does so where the kernel can (`--offload auto`), for it spares most system calls of a
//! stream, and the sum over it.
//!
//! TCP sends super-segments whatever the device: as many full segments as go out at once, as far as
//! one packet reaches, behind one header (`tcp/output.rs`). Each counts by itself in all else: the
//! congestion window, what is in flight, what is lost. For a device without offload the event loop
//! cuts them (`device/segmentation.rs`), and sums each as it copies it. The plain `Tun` is for captures that look like a wire's, and for
//! kernels that cannot.
//!
//! - *The header is the kernel's, not a peer's*, and yet believed only as far as it can be checked: what
//!   is cut off, points past the end of the packet, or speaks of what was never agreed to is dropped and
//!   counted (`DeviceBadHeader`). The length of the headers in it is a hint, so nothing depends on it.
//! - *A checksum left out counts as right*: the packet was made on this host, or put together by it
//!   from others whose checksums it has verified, and nothing has carried it since.
//! - *An interface that persists remembers its last user*: which work may be left to the other end, and
//!   the length and byte order of the header. A plain device that trusted in its being new would be
//!   handed super-segments that nobody has summed. So each kind sets all that matters to it, and reads
//!   back whether there is a header.
//! - *Only TCP* is taken as super-segments. Datagrams come one by one: nobody here would read more.
//!
//! # Spinning
//!
//! Where client and stack run on two processors, each answer waits until a processor that has gone to
//! sleep is awake again. So the event loop may go on looking for a while before it sleeps: the program
//! for 50 us (`--spin`), about what such a sleep costs; a program that embeds the stack says how long
//! itself ([`Runtime::set_spin`](crate::runtime::Runtime::set_spin)), and unless it does, never, since
//! it knows what else its processors are for.
//!
//! - *Only where it pays off* (`runtime/spin.rs`): after a spin in vain come one, two, four, and at last
//!   256 short sleeps before the next; each spin that finds something halves that. Longer sleeps than
//!   200 us do not count, so an idle stack does not spin, and a stream that ends costs one spin.
//! - *Never on one processor* (`runtime/processors.rs`): whoever sends the next packet needs it. The
//!   thread's mask is looked at before the first spin and then at most once a second, as a process may be bound
//!   at any time.
//! - *Not against others*: a spin during which another thread took the processor counts as one in
//!   vain, though it found something. With more threads than processors the one that had to wait was
//!   often the client.
//! - *Nothing waits for it*: to look is to poll with a timeout of zero, which sees packets, the waker
//!   and signals alike (and costs less than a read of the device that finds nothing); a timer that is due
//!   ends the spin.
//!
//! # Memory
//!
//! What connections offer to take, and applications wish to write, is many times what there is memory
//! for, and mostly never comes. So nothing is set aside for a connection, and one bound is for the
//! buffers of all together (`Config::max_buffer_memory`), with the records of what is in flight and of
//! what lies beyond holes. The account is exact and is kept by differences (`stack/memory.rs`): a ring
//! costs its size, whatever is in it. A connection is told what is left before it may take more
//! (`tcp/room.rs`).
//!
//! - *Above three quarters of the bound* nothing new is let in: windows stop to open, and close as what
//!   they have promised is used up; text beyond a hole is dropped, and not reported by SACK; a write
//!   takes nothing, and `Writable` follows when the peer has acknowledged some of what was written
//!   before. The last quarter is for text that comes in order and was promised a place.
//! - *At the bound* such text is dropped, too, and the peer sends it again. If nothing of ours is in
//!   flight it is told of a window without it, so that it probes and does not give up on us. That moves
//!   the right edge to the left (SHLD-14), as Linux does where it has no memory. What was promised is
//!   taken in all the same as soon as it can be (RFC 7323 section 2.4).
//! - *In any case* a connection may hold 2 KiB each way, a full segment on any common link. So everybody
//!   gets on, also an application that has to write before it can read on; and whoever is refused has
//!   something in a buffer, of which the end is the moment to go on: an ACK of what was written, or a
//!   read, which announces the window. Nobody has to be searched for when memory is free again. The
//!   peer's probe of a closed window is the backstop.
//! - *Text that an application takes straight from the packet* needs no memory. What it leaves of it, and
//!   no memory is there for, counts as not received; a FIN that comes with such text waits for the
//!   next one.
//!
//! More than the bound is taken by what a connection has in any case (4 KiB); by the records of what is
//! in flight, since what they tell of was let in before; by what is kept to spare (6 MiB); by the
//! records of islands, 6 KiB at most, of one connection; and for a moment by a ring that moves into a
//! larger one. New connections are accepted all the time: they hold no buffers, and have a bound of
//! their own.
//!
//! A connection has 400 bytes, or seven cache lines. What is rare (unusual timers, urgent marks, ECN, what
//! recovery and CUBIC have learnt) is behind pointers, and what is empty is lent. Of the rest all but some
//! twenty bytes are read or written for a segment in order and its ACK, so that the order of the fields
//! decides about one line at most: it is left to the compiler.
//!
//! # Losses
//!
//! A record for each segment that is in flight says when it was last sent, whether it was sent again,
//! whether it is held to be lost, and whether the peer has reported it (`tcp/flight.rs`). With peers that
//! do not report (no SACK) losses are found by three duplicate ACKs and repaired one in a round trip, as
//! RFC 6582 says. With all others:
//!
//! - *Time finds what is lost* (`tcp/rack.rs`): a segment is, when one that was sent later has arrived and
//!   the reordering window has passed (RFC 8985). That holds for retransmissions as well, and for the
//!   end of a flight once a probe has drawn an answer (`tcp/tail_loss.rs`), so that a timeout is left
//!   for paths on which nothing gets through.
//! - *What an ACK costs*: records lie in the order of first transmissions, which is that of sequence
//!   numbers; retransmissions are in a queue in their order. What RACK has judged it does not look at
//!   again, so that each transmission is judged once, and the walk ends at the first that is too young.
//!   What is reported is kept as runs, in order: a block that is repeated is found in the time of a
//!   search; a new one is walked over as far as it is new. One ACK has at most four blocks, and each can
//!   move half of 4,096 ranges of eight bytes, which takes a microsecond or two. Whoever jumps about with
//!   blocks gains nothing else: what he reports is not sent again, and there is no more of it than we
//!   have sent.
//! - *What goes out meanwhile* (`tcp/prr.rs`): in answer to what is delivered so much that ssthresh is in
//!   flight at the end (RFC 9937). What is owed and ssthresh are counted in whole segments, as in Linux.
//! - *What was for nothing* (`tcp/undo.rs`) is taken back: the reduction if all that was sent again turns
//!   out to have come twice, or if an echoed timestamp is older than the first retransmission; a
//!   timeout also when what was sent once arrives after it (RFC 5682). Not where congestion is echoed.
//!   The estimate of the round-trip time is left to the samples (RFC 4015 section 3.3 would raise
//!   it at once; Linux does not).
//! - *A recovery that was for nothing counts as reordering*, of which RACK then takes account: the
//!   retransmission itself hides from it what RFC 8985 section 6.2, step 3, would see.
//! - *RACK.rtt* is that of the segment looked at last, in sequence order, where the RFC goes by the
//!   order of transmissions: as in Linux. Where a hole is filled it is the longer of the two.
//! - *A recovery that hears nothing is asked about* (`tcp/probe.rs`). RFC 8985 section 7.2 would have no
//!   probe there. But Linux answers all that comes behind the third report with few ACKs, and a
//!   retransmission with a single one; where that is lost, and the window lets nothing else out, only
//!   the timeout is left. With one packet in a hundred lost that happened once in ten thousand
//!   segments, and on a path of 0.1 ms was nearly half of the time.
//! - *What a retransmission overtakes says nothing of congestion* on a path that reorders: it carries a
//!   newer timestamp, and the peer then throws away what comes behind it with an older one (RFC 7323
//!   section 5.3 tells of it). What was sent less than a reordering window before a retransmission, and
//!   gets lost, is repaired without a reduction.
//! - *As a queue drains*, RACK.rtt falls by more than reordering takes: a segment keeps the one with which
//!   it was overtaken first.
//! - *One ACK starts recovery* if it reports three segments, where RFC 2018 section 5.1 wants three
//!   ACKs: they may have been lost (RFC 8985 section 6.2, step 4).
//! - *After a timeout* what was reported is still believed (RFC 2018 section 5 would forget it), unless the
//!   oldest segment is among it: then the peer has thrown text away.
//!
//! # BBR and pacing
//!
//! What a controller wants beyond a window it says of itself (`tcp::congestion::Controller`): rate
//! samples, pacing, to rule its window in recovery. BBR wants all three; one from elsewhere may want any
//! of them. What follows is draft-ietf-ccwg-bbr-05, and where it leaves a choice or was left:
//!
//! - *The meter* (`tcp/flight/meter.rs`) lies in the flight of a connection whose controller wants it, and
//!   nowhere else: C.delivered and its like, the pacer, and a stamp of 32 bytes beside each record. It
//!   begins with the first text, or where a controller takes the place of another, in the midst of what
//!   is out: that counts as delivered from then on, and as limited by the application (section 4.1.2).
//! - *Samples* are taken with each ACK that delivers something, cumulatively or by reports alone. A
//!   segment is stamped, not a super-segment (section 4.1.3.1 recommends that): so it is known to the
//!   segment at which volume in flight losses began.
//! - *Pacing* (`tcp/pacing.rs`) goes by quanta, C.send_quantum: one super-segment, or as many segments as
//!   fill it where the device takes them one by one, so that the sender is woken as rarely. A timer of
//!   the connection ends each wait. Who is woken late makes up for it by half of a quantum's time, as
//!   Linux does; a pause gives no other credit. Retransmissions wait as new text does; probes do not, nor
//!   does what the retransmission timer has found to be lost, but they count.
//! - *The initial rate* (section 5.6.2) is that of the window there is, which for a fresh connection is
//!   the initial one: so a controller that takes over goes on at the rate that there was. As Linux.
//! - *In recovery* nothing but BBR's own window and rate limit what is sent: proportional rate
//!   reduction is left out. Losses are told segment by segment, in sequence order, before all that
//!   follows from them.
//! - *A window counts as limiting* (C.is_cwnd_limited) where it was full, not from half of it on as in
//!   the slow start of the others.
//! - *A probe raises inflight_longterm* by whole segments, as revision 06 and Linux have it: byte by byte
//!   it would end each probe after three round trips. The precautionary probing of both is left out
//!   (`tcp/congestion/bbr/mod.rs` has the numbers).
//! - *A segment in a round trip* is the least rate. The draft has none; but after an outage, or losses
//!   before the first sample, the estimate may be next to nothing or nothing, and with quanta of two
//!   segments a connection would wait for minutes, or for ever.
//! - *Marks* (ECN) count as losses that were too many, for which the draft has no response of its own.
//!
//! # Pictures
//!
//! `plot` shows what an observer saw, and an observer guesses. What it goes by:
//!
//! - *Sent again or overtaken*: text below the highest that was there before was sent again. Text that fills
//!   a gap was lost before the observer, or overtaken: the sender's timestamp says whether it was sent
//!   after what lies behind the gap; without one it counts as overtaken for as long as the handshake took, or
//!   3 ms, which is how Wireshark decides.
//! - *SACK blocks* are drawn where they say something new: a receiver repeats each three times and more
//!   (RFC 2018 section 4), which would paint over all else.
//! - *Round-trip times* by acknowledgement are of the latest text acknowledged that was sent once, so that
//!   a delayed ACK counts least; those by timestamp are one for each value of the sender's clock and hold
//!   the delay of ACKs, as RFC 7323 section 4.1 means them to.
//! - *The window's edge* is left out unless the receiver's SYN is in the capture: its scale is nowhere else.
//! - *A host's checks are not an observer's*: captures of loopback, of packets whose checksums a device was
//!   still to finish, and of headers alone are read by `wire::codec::observe`, beside the stack's own reader.
//! - *The drawing* is done by `plotters`, without its fonts and bitmaps: axes, SVG, and an area of pixels on
//!   which what has been thinned out can be drawn; four small crates in all. Text is left to whoever shows the
//!   picture. `poloto` knows series and no strokes of their own, `kuva` kinds of charts of which none is this one and a
//!   calendar (`chrono`), `charts-rs` reads fonts, `charming` describes charts for a browser, and `plotlib` stands
//!   on `failure`, which was given up.
//! - *One path for many strokes*: the backend writes an element for each, of a hundred bytes; runs that are drawn
//!   alike become one path, which makes the pictures a fifth as large, and changes nothing that is seen.
//! - *What no observer sees* comes from the sender, as samples beside the capture (`--samples`; `plot::Samples`
//!   has the format): congestion window, slow start threshold, smoothed round-trip time, pacing rate, the
//!   queue, and what the network has dropped. The window shares a panel with the bytes in flight, so that one sees
//!   which of the two holds the sender back. The simulator writes them; they are read as strictly as a
//!   capture is read leniently, since nobody else's program makes them and a column that slips would draw nonsense.
//! - *A stretch* (`--from`, `--to`) is followed from the connection's beginning all the same, or its windows, blocks
//!   and holes would be guesses; axes keep the numbers that the whole has.
//! - *Bounds*: the capture is read twice and never held; of samples 4 Mi are taken in, and only what changes; 262,144 connections are told apart, 8 Mi segments of
//!   one are taken in, at some 50 bytes each, and no more than 10,000 elements of a kind are drawn. A capture
//!   of 1 GB with a million packets takes 1 s of a processor and 68 MB; one of headers alone, with nine
//!   million, 4.5 s and 416 MB.
//!
//! # Where the letter of RFC 9293 is left
//!
//! - *The right edge of the window* (3.8.6, SHLD-14) moves left when text that was promised a place is
//!   dropped for want of memory: see above.
//! - *Acceptability* (3.10.7.4): an empty segment that starts exactly at the right edge of the
//!   window is acceptable, as in Linux: the ACKs of a sender that has filled the window start there.
//! - *A repeated SYN in SYN-RECEIVED* is answered by the SYN-ACK again, not by a bare ACK: the peer
//!   has not seen the first, and the ACK would not help it.
//! - *Zero-window probes* (3.8.6.1) carry no byte of new data: they lie one before SND.UNA, as in
//!   Linux. The receiver owes an ACK for either, and no byte is in flight that it may have dropped.
//! - *A segment without timestamps* where they were agreed on (RFC 7323 section 3.2 would drop it)
//!   is taken, as in Linux: some middleboxes strip the option, and the connection would hang.
//! - *CLOSE in SYN-RECEIVED* (3.10.4): the FIN is queued and follows once the connection is
//!   established; FIN-WAIT-1 is entered then. The RFC lets an implementation without queued data
//!   enter it at once.
//! - *A reset in CLOSING or LAST-ACK* is reported as an orderly end if all text had arrived.
//! - *A reset* also counts with the number of a FIN that has been taken, for some stacks do not count
//!   their FIN, and behind all that SACK blocks have told of, where a peer stands that aborts while
//!   some of its text is lost (RFC 5961 section 3.2 would drop or challenge these). Both numbers are as
//!   hard to guess as RCV.NXT; Linux takes them, too.
//! - *An abort in CLOSING or LAST-ACK* (3.10.5) sends a reset if text is unread, as RFC 2525
//!   section 2.17 wants it: it is lost.
//! - *Text that ends just before the window* is not acceptable (3.10.7.4), but as in Linux its ACK
//!   counts: a peer that sends its last text again may have heard more of us meanwhile. So its ACK is
//!   looked at first, and if that is wrong the answer is a challenge, which is limited.
//! - *An option of an impossible length* (3.1, MUST-7) ends the options, not the connection: what
//!   stood before it counts, and so does the segment. The RFC suggests a reset.
//! - *An orphan* whose peer keeps its window closed is reset after eight probes (RFC 6429 section 3):
//!   nobody waits for its data. A connection that somebody holds is probed for ever (MUST-37).
//! - *Soft errors* (3.9.2.2, MUST-56) do not end a connection that is established; but before that any
//!   ICMP unreachable does, codes 0, 1 and 5 too, as in Linux and as RFC 5461 section 4 describes: a
//!   connect that cannot get through fails at once and not after minutes.
//! - *Hard errors* (3.9.2.2, SHLD-26): an ICMP error never ends an established connection
//!   (RFC 5927 section 5.2). It is reported, and when the peer then stays silent until R2 it is the
//!   reason that the application is given, in place of a timeout. Anything that is heard of the peer
//!   refutes it. Linux's `sk_err_soft` is the same.
//! - *ECN* (RFC 3168): in slow start an echo of congestion counts as a loss does; in congestion
//!   avoidance it takes less (RFC 8511): 15 percent of the window instead of 30 with CUBIC, a fifth
//!   of FlightSize instead of half with NewReno. Linux makes no difference. What is in the
//!   network comes down to the new window by proportional rate reduction (RFC 9937), as in Linux,
//!   until what was sent before is acknowledged; but below that window an ACK that echoes is never
//!   followed by more than it delivers (RFC 3168 section 6.1.2), where Linux adds a segment. After a SYN
//!   that had to be sent again, and so did not ask, our text is not marked even if the peer agrees
//!   (section 6.1.1); Linux marks it. A SYN that comes with ECT or CE is not agreed to, as in Linux,
//!   unless it asks for accurate ECN as well. A mark and a loss in one window of data reduce the window
//!   once, by whichever comes first (section 6.1.2).
//! - *Accurate ECN* (RFC 9768) is spoken when it is set (`Ecn::Accurate`, `Ecn::AcceptAccurate`). The
//!   first two SYNs ask for it, and those after them for nothing; nothing remembers of which peers that
//!   was in vain (section 3.1.4.1 would have it). A SYN-ACK that is sent again has no option, and the
//!   third says nothing of ECN (section 3.2.3.2.2). What the marks are answered with is as before, once
//!   in a round trip, but growth stops only with the ACKs that tell of marks, where an echo of RFC
//!   3168 lasts for a round trip. ECT is set on new text alone, as in RFC 3168. Where eight segments
//!   or more are acknowledged at once, three bits may have wrapped: the count is the safest likely one
//!   of appendix A.2, with options as a check on it where they come, and without as Linux has it: a
//!   path that thins out its ACKs loses none. An option goes with what acknowledges marked or markable
//!   text and not with what is sent again; with three blocks the third makes room for it, and to two
//!   of them it yields. Text that comes again three times, of which all ACKs had options, ends
//!   them, with fewer than 100 new segments in between, and a path ends ECT that turns the mark of a SYN or SYN-ACK into another, clears the
//!   first count, counts bytes and no packet, or marks every packet for four round trips (sections
//!   3.2.2.3 and 3.2.2.4; after the second and the last marks are not answered either).
//!   Segments take the long way round header prediction, and while the counter has the bit of CWR
//!   they go to the device one by one, since who cuts super-segments clears it (section 3.3.4); Linux
//!   has a kind of super-segment of its own for this.
//! - *CUBIC* (RFC 9438) takes its share of cwnd and not of FlightSize at a loss (section 4.6 allows
//!   it, as the window does not grow while it is not used), counts acknowledged segments and not ACKs
//!   in its concave and convex regions, and follows the window it has with a K of zero where that is
//!   beyond W_max, all as Linux. What it has learnt of the path beyond cwnd and ssthresh takes a box,
//!   which a connection has from when its window is first full until it has been idle for an RTO.
//! - *HyStart++* (RFC 9406 section 4.3): L has no limit, although nothing is paced, for which the RFC
//!   recommends 8. Peers that merge segments acknowledge 45 at a time, and slow start would be slow.
//!   It ends the first slow start only, as section 4.3 says. A train of ACKs is a second reason for
//!   Conservative Slow Start (section 4.2), and both reasons together end slow start, because longer
//!   round-trip times alone show a round too late when nothing is paced. Linux's CUBIC has this
//!   test, too; one sign alone ends slow start there. Rounds begin with the first ACK of the next
//!   window, as in Linux, and not with the last one of the window before.
//! - *Linger*: `close` never waits. With a linger time what was written is delivered for that
//!   long, then the connection is reset; with zero it is reset at once.
//!
//! # Left out
//!
//! Fragments are dropped and counted. Security and compartment (3.3.1) and source routes (RFC 7126)
//! are not supported. There are no UDP sockets. Nothing but BBR is paced, as in Linux without the `fq`
//! scheduler. The path MTU of a live connection shrinks but never grows again; new connections try the
//! link's after ten minutes.
