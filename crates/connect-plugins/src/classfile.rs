//! The few facts of a Java class file that tell a plugin: its name, its ancestors, and whether it can
//! be instantiated. Contract: chapter 4 of the JVM specification.

/// A class as its file declares it; names with dots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Class {
    pub(crate) name: String,
    pub(crate) parent: String,
    pub(crate) interfaces: Vec<String>,
    /// Public, and neither abstract nor an interface.
    concrete: bool,
    /// Has a public constructor without arguments.
    constructor: bool,
}

impl Class {
    /// Whether `java.util.ServiceLoader` could make one.
    pub(crate) fn is_usable(&self) -> bool {
        self.concrete && self.constructor
    }

    /// Whether it extends or implements anything that may come to a plugin. Most classes do not, and
    /// need not be remembered.
    pub(crate) fn can_lead_to_a_plugin(&self) -> bool {
        let may = |name: &String| {
            !["java.", "javax.", "jdk.", "scala."]
                .iter()
                .any(|library| name.starts_with(library))
        };
        may(&self.parent) || self.interfaces.iter().any(may)
    }
}

/// Reads a class file; `None` if it is none.
pub(crate) fn parse(bytes: &[u8]) -> Option<Class> {
    const PUBLIC: u16 = 0x0001;
    const INTERFACE: u16 = 0x0200;
    const ABSTRACT: u16 = 0x0400;
    let mut at = Cursor { bytes, at: 0 };
    if at.take(4)? != [0xca, 0xfe, 0xba, 0xbe] {
        return None;
    }
    at.take(4)?;
    let constants = Constants::read(&mut at)?;
    let access = at.number()?;
    let name = constants.class(at.number()?)?;
    // Only `java.lang.Object` has none, and it is in no bundle.
    let parent = constants.class(at.number()?)?;
    let interfaces = (0..at.number()?)
        .map(|_| constants.class(at.number()?))
        .collect::<Option<_>>()?;
    for _ in 0..at.number()? {
        at.take(6)?;
        at.skip_attributes()?;
    }
    let mut constructor = false;
    for _ in 0..at.number()? {
        let flags = at.number()?;
        let (name, descriptor) = (at.number()?, at.number()?);
        at.skip_attributes()?;
        constructor |= flags & PUBLIC != 0
            && constants.text(name)? == b"<init>"
            && constants.text(descriptor)? == b"()V";
    }
    Some(Class {
        name,
        parent,
        interfaces,
        concrete: access & (PUBLIC | ABSTRACT | INTERFACE) == PUBLIC,
        constructor,
    })
}

/// The constant pool: its texts, and the classes that point at them.
struct Constants<'a> {
    texts: Vec<Option<&'a [u8]>>,
    classes: Vec<Option<u16>>,
}

impl<'a> Constants<'a> {
    fn read(at: &mut Cursor<'a>) -> Option<Self> {
        let count = usize::from(at.number()?);
        let mut texts = vec![None; count];
        let mut classes = vec![None; count];
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
        Some(Self { texts, classes })
    }

    fn text(&self, index: u16) -> Option<&'a [u8]> {
        *self.texts.get(usize::from(index))?
    }

    fn class(&self, index: u16) -> Option<String> {
        let text = self.text((*self.classes.get(usize::from(index))?)?)?;
        Some(std::str::from_utf8(text).ok()?.replace('/', "."))
    }
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

    fn skip_attributes(&mut self) -> Option<()> {
        for _ in 0..self.number()? {
            self.take(2)?;
            let length = self.take(4)?;
            let length = u32::from_be_bytes([length[0], length[1], length[2], length[3]]);
            self.take(usize::try_from(length).ok()?)?;
        }
        Some(())
    }
}
