//! Kafka's binary protocol: the few requests we ask, in the oldest versions that every broker from
//! 3.9 to 4.3 answers, so that nothing is tagged or compact.
//!
//! **Contract:** the message definitions of Apache Kafka (`clients/src/main/resources/common/message`).

use super::KafkaError;

/// A request: its number, and the version that we speak.
#[derive(Clone, Copy, Debug)]
pub(super) struct Api {
    pub(super) key: i16,
    pub(super) version: i16,
}

pub(super) const SASL_HANDSHAKE: Api = Api {
    key: 17,
    version: 1,
};
pub(super) const SASL_AUTHENTICATE: Api = Api {
    key: 36,
    version: 0,
};
pub(super) const METADATA: Api = Api { key: 3, version: 4 };
pub(super) const FIND_COORDINATOR: Api = Api {
    key: 10,
    version: 1,
};
pub(super) const DESCRIBE_GROUPS: Api = Api {
    key: 15,
    version: 0,
};
pub(super) const LIST_OFFSETS: Api = Api { key: 2, version: 1 };

/// Longest name or text of ours; Kafka counts in 16 bits.
fn length(text: &str) -> i16 {
    i16::try_from(text.len()).unwrap_or(i16::MAX)
}

/// What is sent.
#[derive(Debug, Default)]
pub(super) struct Writer(Vec<u8>);

impl Writer {
    pub(super) fn int8(mut self, value: i8) -> Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    pub(super) fn int16(mut self, value: i16) -> Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    pub(super) fn int32(mut self, value: i32) -> Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    pub(super) fn int64(mut self, value: i64) -> Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    pub(super) fn text(self, text: &str) -> Self {
        let mut writer = self.int16(length(text));
        writer.0.extend(text.as_bytes());
        writer
    }

    pub(super) fn bytes(self, bytes: &[u8]) -> Self {
        let mut writer = self.int32(i32::try_from(bytes.len()).unwrap_or(i32::MAX));
        writer.0.extend(bytes);
        writer
    }

    pub(super) fn finish(self) -> Vec<u8> {
        self.0
    }
}

/// What came back. A broker that is none may send anything: every length is checked.
#[derive(Debug)]
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], KafkaError> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(KafkaError::Answer)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], KafkaError> {
        self.take(N)?.try_into().map_err(|_| KafkaError::Answer)
    }

    pub(super) fn int8(&mut self) -> Result<i8, KafkaError> {
        Ok(i8::from_be_bytes(self.array()?))
    }

    pub(super) fn int16(&mut self) -> Result<i16, KafkaError> {
        Ok(i16::from_be_bytes(self.array()?))
    }

    pub(super) fn int32(&mut self) -> Result<i32, KafkaError> {
        Ok(i32::from_be_bytes(self.array()?))
    }

    pub(super) fn int64(&mut self) -> Result<i64, KafkaError> {
        Ok(i64::from_be_bytes(self.array()?))
    }

    /// A text; none is as good as an empty one.
    pub(super) fn text(&mut self) -> Result<String, KafkaError> {
        let length = usize::try_from(self.int16()?).unwrap_or(0);
        Ok(String::from_utf8_lossy(self.take(length)?).into_owned())
    }

    pub(super) fn bytes(&mut self) -> Result<&'a [u8], KafkaError> {
        let length = usize::try_from(self.int32()?).unwrap_or(0);
        self.take(length)
    }

    /// As many as the answer says there are.
    pub(super) fn list<T>(
        &mut self,
        mut one: impl FnMut(&mut Self) -> Result<T, KafkaError>,
    ) -> Result<Vec<T>, KafkaError> {
        let mut list = Vec::new();
        for _ in 0..self.int32()?.max(0) {
            list.push(one(self)?);
        }
        Ok(list)
    }
}

/// A broker's code that is not 0.
///
/// # Errors
///
/// [`KafkaError::Refused`].
pub(super) fn check(code: i16, what: &'static str) -> Result<(), KafkaError> {
    if code == 0 {
        return Ok(());
    }
    let why = match code {
        5 | 6 => "the partition has no leader now".to_owned(),
        14..=16 => "the group's coordinator is not there yet".to_owned(),
        29 => "its topic may not be read by our user".to_owned(),
        30 => "the group may not be read by our user".to_owned(),
        58 => "our user or password is refused".to_owned(),
        other => format!("error {other}"),
    };
    Err(KafkaError::Refused { what, code, why })
}
