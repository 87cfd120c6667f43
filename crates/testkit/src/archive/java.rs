//! Class files that a JVM runs. What a test wants of a connector is a line beyond a published one,
//! so each extends one, and no compiler is needed. Contract: chapter 4 of the JVM specification.

/// A class whose `version()` returns this text, and which is its superclass in everything else.
#[must_use]
pub fn with_version(name: &str, parent: &str, version: &str) -> Vec<u8> {
    let mut class = Class::new(name, parent);
    let text = class.text(version);
    let text = class.constant(8, &[text]);
    // ldc_w, areturn.
    let code = [&[0x13][..], &text.to_be_bytes(), &[0xb0]].concat();
    class.method(PUBLIC, "version", "()Ljava/lang/String;", &code);
    class.finish()
}

/// A class that ends the process when a JVM initialises it, with this exit status.
#[must_use]
pub fn exiting(name: &str, parent: &str, status: u8) -> Vec<u8> {
    let mut class = Class::new(name, parent);
    let exit = class.reference("java.lang.System", "exit", "(I)V");
    // sipush, invokestatic, return.
    let code = [&[0x11, 0, status, 0xb8][..], &exit.to_be_bytes(), &[0xb1]].concat();
    class.method(STATIC, "<clinit>", "()V", &code);
    class.finish()
}

/// Likewise, without a word to anybody in it: not even its shutdown hooks run.
#[must_use]
pub fn halting(name: &str, parent: &str, status: u8) -> Vec<u8> {
    let mut class = Class::new(name, parent);
    let runtime = class.reference("java.lang.Runtime", "getRuntime", "()Ljava/lang/Runtime;");
    let halt = class.reference("java.lang.Runtime", "halt", "(I)V");
    // invokestatic, sipush, invokevirtual, return.
    let (runtime, halt) = (runtime.to_be_bytes(), halt.to_be_bytes());
    let code = [
        &[0xb8][..],
        &runtime,
        &[0x11, 0, status, 0xb6],
        &halt,
        &[0xb1],
    ]
    .concat();
    class.method(STATIC, "<clinit>", "()V", &code);
    class.finish()
}

const PUBLIC: u16 = 0x0001;
const STATIC: u16 = 0x0008;
const SUPER: u16 = 0x0020;

/// A class that is being written; its constants and methods so far.
struct Class {
    name: u16,
    parent: u16,
    constants: Vec<u8>,
    /// Constants count from 1.
    next: u16,
    methods: Vec<u8>,
    count: u16,
}

impl Class {
    /// With a public constructor that does nothing of its own.
    fn new(name: &str, parent: &str) -> Self {
        let mut class = Self {
            name: 0,
            parent: 0,
            constants: Vec::new(),
            next: 1,
            methods: Vec::new(),
            count: 0,
        };
        class.name = class.class(name);
        class.parent = class.class(parent);
        let of_parent = class.reference(parent, "<init>", "()V");
        // aload_0, invokespecial, return.
        let code = [&[0x2a, 0xb7][..], &of_parent.to_be_bytes(), &[0xb1]].concat();
        class.method(PUBLIC, "<init>", "()V", &code);
        class
    }

    /// A constant of other constants.
    fn constant(&mut self, tag: u8, of: &[u16]) -> u16 {
        self.constants.push(tag);
        self.constants
            .extend(of.iter().flat_map(|index| index.to_be_bytes()));
        self.next += 1;
        self.next - 1
    }

    fn text(&mut self, text: &str) -> u16 {
        let length = u16::try_from(text.len()).expect("test texts are short");
        let index = self.constant(1, &[length]);
        self.constants.extend(text.as_bytes());
        index
    }

    fn class(&mut self, name: &str) -> u16 {
        let name = self.text(&name.replace('.', "/"));
        self.constant(7, &[name])
    }

    fn reference(&mut self, class: &str, method: &str, descriptor: &str) -> u16 {
        let class = self.class(class);
        let of = [self.text(method), self.text(descriptor)];
        let method = self.constant(12, &of);
        self.constant(10, &[class, method])
    }

    fn method(&mut self, flags: u16, name: &str, descriptor: &str, code: &[u8]) {
        let (name, descriptor) = (self.text(name), self.text(descriptor));
        let attribute = self.text("Code");
        let length = u32::try_from(code.len()).expect("test methods are short");
        let words = [flags, name, descriptor, 1, attribute];
        self.methods
            .extend(words.iter().flat_map(|word| word.to_be_bytes()));
        self.methods.extend((length + 12).to_be_bytes());
        // Two places on the stack, one local variable.
        self.methods.extend([0, 2, 0, 1]);
        self.methods.extend(length.to_be_bytes());
        self.methods.extend(code);
        // No exceptions, no attributes.
        self.methods.extend([0; 4]);
        self.count += 1;
    }

    fn finish(self) -> Vec<u8> {
        // Of Java 8: the verifier of later ones wants no more, as no code here branches.
        let mut bytes = b"\xca\xfe\xba\xbe\0\0\0\x34".to_vec();
        bytes.extend(self.next.to_be_bytes());
        bytes.extend(self.constants);
        // No interfaces, no fields.
        let words = [PUBLIC | SUPER, self.name, self.parent, 0, 0, self.count];
        bytes.extend(words.iter().flat_map(|word| word.to_be_bytes()));
        bytes.extend(self.methods);
        // No attributes.
        bytes.extend([0; 2]);
        bytes
    }
}
