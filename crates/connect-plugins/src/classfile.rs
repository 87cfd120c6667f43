//! The few facts of a Java class file that tell a connector: its name, its superclass, and whether
//! it can be instantiated. Contract: chapter 4 of the JVM specification.

/// A class as its file declares it; names with dots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Class {
    pub(crate) name: String,
    pub(crate) parent: String,
    /// Public and not abstract.
    pub(crate) concrete: bool,
}

/// Reads the start of a class file; `None` if it is none.
pub(crate) fn parse(bytes: &[u8]) -> Option<Class> {
    const PUBLIC: u16 = 0x0001;
    const ABSTRACT: u16 = 0x0400;
    let mut at = Cursor { bytes, at: 0 };
    if at.take(4)? != [0xca, 0xfe, 0xba, 0xbe] {
        return None;
    }
    at.take(4)?;
    let count = usize::from(at.number()?);
    let mut texts: Vec<Option<&[u8]>> = vec![None; count];
    let mut classes: Vec<Option<u16>> = vec![None; count];
    let mut index = 1;
    while index < count {
        match at.take(1)?[0] {
            1 => {
                let length = at.number()?;
                texts[index] = Some(at.take(usize::from(length))?);
            }
            7 => classes[index] = Some(at.number()?),
            8 | 16 | 19 | 20 => drop(at.take(2)?),
            15 => drop(at.take(3)?),
            3 | 4 | 9..=12 | 17 | 18 => drop(at.take(4)?),
            // A long or double takes two places of the table.
            5 | 6 => {
                at.take(8)?;
                index += 1;
            }
            _ => return None,
        }
        index += 1;
    }
    let access = at.number()?;
    let mut name = || {
        let class = (*classes.get(usize::from(at.number()?))?)?;
        let text = (*texts.get(usize::from(class))?)?;
        Some(std::str::from_utf8(text).ok()?.replace('/', "."))
    };
    let (name, parent) = (name()?, name()?);
    Some(Class {
        name,
        parent,
        concrete: access & (PUBLIC | ABSTRACT) == PUBLIC,
    })
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let taken = self.bytes.get(self.at..self.at.checked_add(count)?)?;
        self.at += count;
        Some(taken)
    }

    fn number(&mut self) -> Option<u16> {
        self.take(2).map(|two| u16::from_be_bytes([two[0], two[1]]))
    }
}
