//! The accurate ECN options (RFC 9768 section 3.2.3): how many bytes of text have arrived with each
//! mark.

use core::fmt;

/// Bytes of a counter in an option.
pub(super) const FIELD: usize = 3;
/// Counters in the longest option.
const MOST_FIELDS: usize = 3;

/// Which counter an option starts with; it ends with the other one of ECT, and the counter of CE
/// stands in between. So the counters that have not moved can be left out at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum EcnOrder {
    /// Order 0, the option AccECN0: ECT(0), CE, ECT(1).
    Ect0First = 172,
    /// Order 1, the option AccECN1: ECT(1), CE, ECT(0).
    Ect1First = 174,
}

/// An accurate ECN option: the lower 24 bits of up to three counters of bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct EcnCounters {
    order: EcnOrder,
    /// How many of the fields are there: 0 to 3.
    count: u8,
    /// As they stand in the header, zero where there is none.
    fields: [[u8; FIELD]; MOST_FIELDS],
}

impl EcnCounters {
    /// The first `count` fields, at most three, of an option with these counters of the bytes that
    /// came with ECT(0), CE and ECT(1).
    pub fn new(order: EcnOrder, count: usize, e0b: u32, ceb: u32, e1b: u32) -> Self {
        let counters = match order {
            EcnOrder::Ect0First => [e0b, ceb, e1b],
            EcnOrder::Ect1First => [e1b, ceb, e0b],
        };
        let count = count.min(MOST_FIELDS);
        let mut fields = [[0; FIELD]; MOST_FIELDS];
        for (field, counter) in fields.iter_mut().zip(counters).take(count) {
            let [_, high, middle, low] = counter.to_be_bytes();
            *field = [high, middle, low];
        }
        Self { order, count: count as u8, fields }
    }

    /// What stands behind kind and length of an option in this order. "If the AccECN Option is of any
    /// other length, implementations MUST use those whole 3-octet fields that fit within the length
    /// and ignore the remainder".
    pub(super) fn read(order: EcnOrder, data: &[u8]) -> Self {
        let (whole, _) = data.as_chunks::<FIELD>();
        let mut fields = [[0; FIELD]; MOST_FIELDS];
        let mut count = 0;
        for (field, bytes) in fields.iter_mut().zip(whole) {
            *field = *bytes;
            count += 1;
        }
        Self { order, count, fields }
    }

    /// The order of its fields.
    pub fn order(&self) -> EcnOrder {
        self.order
    }

    /// The fields that are there.
    pub(super) fn fields(&self) -> &[[u8; FIELD]] {
        self.fields.get(..usize::from(self.count)).unwrap_or(&[])
    }

    /// EE0B: bytes that came with ECT(0), modulo 2^24.
    pub fn e0b(&self) -> Option<u32> {
        self.field(if self.order == EcnOrder::Ect0First { 0 } else { 2 })
    }

    /// ECEB: bytes that came with CE, modulo 2^24.
    pub fn ceb(&self) -> Option<u32> {
        self.field(1)
    }

    /// EE1B: bytes that came with ECT(1), modulo 2^24.
    pub fn e1b(&self) -> Option<u32> {
        self.field(if self.order == EcnOrder::Ect1First { 0 } else { 2 })
    }

    fn field(&self, at: usize) -> Option<u32> {
        let &[high, middle, low] = self.fields().get(at)?;
        Some(u32::from_be_bytes([0, high, middle, low]))
    }

    /// Bytes of the option in a header, with no-operations in front that align it to 32 bits.
    #[inline]
    pub fn len(&self) -> usize {
        Self::len_of(self.count.into())
    }

    /// The same of an option with so many fields: 4 to 12.
    #[inline]
    pub const fn len_of(count: usize) -> usize {
        (2 + FIELD * count).next_multiple_of(4)
    }

    /// Whether there is no field in it.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}

/// As packetdrill has it: the fields in their order.
impl fmt::Display for EcnCounters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = match self.order {
            EcnOrder::Ect0First => ["e0b", "ceb", "e1b"],
            EcnOrder::Ect1First => ["e1b", "ceb", "e0b"],
        };
        f.write_str("ECN")?;
        for (name, at) in names.iter().zip(0..self.count) {
            write!(f, " {name} {}", self.field(at.into()).unwrap_or_default())?;
        }
        Ok(())
    }
}

impl fmt::Debug for EcnCounters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counters_stand_in_the_order_of_the_option() {
        // RFC 9768 section 3.2.3, table 5.
        for (order, counters) in [
            (EcnOrder::Ect0First, [Some(1), Some(2), Some(3)]),
            (EcnOrder::Ect1First, [Some(3), Some(2), Some(1)]),
        ] {
            for (count, len) in [(0, 4), (1, 8), (2, 8), (3, 12)] {
                let option = EcnCounters::new(order, count, 1, 2, 3);
                let mut kept = counters;
                kept[count..].fill(None);
                let read = match order {
                    EcnOrder::Ect0First => [option.e0b(), option.ceb(), option.e1b()],
                    EcnOrder::Ect1First => [option.e1b(), option.ceb(), option.e0b()],
                };
                assert_eq!(read, kept);
                assert_eq!(option.len(), len);
                let data = option.fields().concat();
                assert_eq!(EcnCounters::read(order, &data), option);
            }
        }
    }

    #[test]
    fn a_counter_wraps_at_24_bits() {
        let option = EcnCounters::new(EcnOrder::Ect0First, 3, 0x0100_0001, 0xff12_3456, 1);
        assert_eq!((option.e0b(), option.ceb()), (Some(1), Some(0x12_3456)));
    }

    #[test]
    fn of_another_length_the_whole_fields_count() {
        let read = |data: &[u8]| EcnCounters::read(EcnOrder::Ect0First, data);
        assert_eq!(read(&[0, 0]), EcnCounters::new(EcnOrder::Ect0First, 0, 0, 0, 0));
        assert_eq!(read(&[0, 0, 7, 1]), EcnCounters::new(EcnOrder::Ect0First, 1, 7, 0, 0));
        let long = [0, 0, 7, 0, 0, 8, 0, 0, 9, 1, 1, 1, 1];
        assert_eq!(read(&long), EcnCounters::new(EcnOrder::Ect0First, 3, 7, 8, 9));
        assert_eq!(read(&long).to_string(), "ECN e0b 7 ceb 8 e1b 9");
    }
}
