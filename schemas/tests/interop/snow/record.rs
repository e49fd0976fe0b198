//! One IKhfs handshake by the Rust library snow, written down: `cargo run --release > ../snow_ikhfs.json` makes the file again.
//!
//! snow knows the hfs extension, its tokens and their places; the one KEM that it can name is Kyber1024. Its resolver lets a program give
//! it another, here ML-KEM-768 by libcrux, and its parameters another name. So what is recorded is snow's reading of `e1` and `ekem1`,
//! over a KEM that is not ours either. All keys are fixed, so the file is always the same.

use libcrux_ml_kem::mlkem768::{self, MlKem768PrivateKey, MlKem768PublicKey};
use snow::params::{BaseChoice, CipherChoice, DHChoice, HashChoice, KemChoice, NoiseParams};
use snow::resolvers::{CryptoResolver, DefaultResolver, FallbackResolver};
use snow::types::{Cipher, Dh, Hash, Kem, Random};
use snow::{Builder, StatelessTransportState};

const NAME: &str = "Noise_IKhfs_25519+MLKEM768_ChaChaPoly_SHA256";
const PROLOGUE: &[u8] = b"jumping-vpn/1 handshake, by snow";
const PAYLOADS: [&[u8]; 2] = [
    b"payload of the request",
    b"payload of the reply, which is longer",
];
const COUNTERS: [u64; 4] = [0, 1, 1 << 32, u64::MAX - (1 << 13) - 1];

const INITIATOR_STATIC: u8 = 0;
const RESPONDER_STATIC: u8 = 1;
const INITIATOR_EPHEMERAL: u8 = 2;
const RESPONDER_EPHEMERAL: u8 = 3;
const KEM_D: u8 = 4;
const KEM_Z: u8 = 5;
const ENCAPSULATION_M: u8 = 6;

/// The 32 bytes that go on counting where those of `number - 1` end.
fn counted(number: u8) -> [u8; 32] {
    std::array::from_fn(|place| number * 32 + place as u8)
}

struct MlKem768 {
    private: Option<MlKem768PrivateKey>,
    public: Vec<u8>,
}

impl Kem for MlKem768 {
    fn name(&self) -> &'static str {
        "MLKEM768"
    }

    fn pub_len(&self) -> usize {
        1184
    }

    fn ciphertext_len(&self) -> usize {
        1088
    }

    fn shared_secret_len(&self) -> usize {
        32
    }

    fn generate(&mut self, _: &mut dyn Random) {
        let seed: Vec<u8> = [counted(KEM_D), counted(KEM_Z)].concat();
        let (private, public) = mlkem768::generate_key_pair(seed.try_into().unwrap()).into_parts();
        self.public = public.as_slice().to_vec();
        self.private = Some(private);
    }

    fn pubkey(&self) -> &[u8] {
        &self.public
    }

    fn encapsulate(
        &self,
        public: &[u8],
        secret: &mut [u8],
        ciphertext: &mut [u8],
    ) -> Result<(usize, usize), ()> {
        let public: [u8; 1184] = public.try_into().map_err(|_| ())?;
        let (sealed, shared) =
            mlkem768::encapsulate(&MlKem768PublicKey::from(public), counted(ENCAPSULATION_M));
        secret.copy_from_slice(&shared);
        ciphertext.copy_from_slice(sealed.as_slice());
        Ok((secret.len(), ciphertext.len()))
    }

    fn decapsulate(&self, ciphertext: &[u8], secret: &mut [u8]) -> Result<usize, ()> {
        let ciphertext: [u8; 1088] = ciphertext.try_into().map_err(|_| ())?;
        let private = self.private.as_ref().ok_or(())?;
        secret.copy_from_slice(&mlkem768::decapsulate(private, &ciphertext.into()));
        Ok(secret.len())
    }
}

/// Gives the KEM; all else is snow's default.
struct KemOnly;

impl CryptoResolver for KemOnly {
    fn resolve_rng(&self) -> Option<Box<dyn Random>> {
        None
    }

    fn resolve_dh(&self, _: &DHChoice) -> Option<Box<dyn Dh>> {
        None
    }

    fn resolve_hash(&self, _: &HashChoice) -> Option<Box<dyn Hash>> {
        None
    }

    fn resolve_cipher(&self, _: &CipherChoice) -> Option<Box<dyn Cipher>> {
        None
    }

    fn resolve_kem(&self, _: &KemChoice) -> Option<Box<dyn Kem>> {
        Some(Box::new(MlKem768 {
            private: None,
            public: vec![0; 1184],
        }))
    }
}

fn builder() -> Builder<'static> {
    let params = NoiseParams::new(
        NAME.into(),
        BaseChoice::Noise,
        "IKhfs".parse().unwrap(),
        DHChoice::Curve25519,
        Some(KemChoice::Kyber1024), // only asks the resolver for a KEM; what is hashed is the name above
        CipherChoice::ChaChaPoly,
        HashChoice::SHA256,
    );
    Builder::with_resolver(
        params,
        Box::new(FallbackResolver::new(
            Box::new(KemOnly),
            Box::new(DefaultResolver),
        )),
    )
    .prologue(PROLOGUE)
}

fn public_of(private: &[u8; 32]) -> Vec<u8> {
    let mut key = DefaultResolver.resolve_dh(&DHChoice::Curve25519).unwrap();
    key.set(private);
    key.pubkey().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn transport(state: &StatelessTransportState, direction: &str) -> Vec<String> {
    let seal = |counter: u64| {
        let plaintext = format!("{direction} {counter}");
        let mut sealed = [0; 64];
        let length = state
            .write_message(counter, plaintext.as_bytes(), &mut sealed)
            .unwrap();
        let (plaintext, sealed) = (hex(plaintext.as_bytes()), hex(&sealed[..length]));
        format!(
            r#"    {{"direction": "{direction}", "counter": {counter}, "plaintext": "{plaintext}", "sealed": "{sealed}"}}"#
        )
    };
    COUNTERS.into_iter().map(seal).collect()
}

fn main() {
    let (client, gateway) = (counted(INITIATOR_STATIC), counted(RESPONDER_STATIC));
    let (client_e, gateway_e) = (counted(INITIATOR_EPHEMERAL), counted(RESPONDER_EPHEMERAL));
    let known = public_of(&gateway);
    let initiator = builder()
        .local_private_key(&client)
        .remote_public_key(&known);
    let mut initiator = initiator
        .fixed_ephemeral_key_for_testing_only(&client_e)
        .build_initiator()
        .unwrap();
    let responder = builder().local_private_key(&gateway);
    let mut responder = responder
        .fixed_ephemeral_key_for_testing_only(&gateway_e)
        .build_responder()
        .unwrap();

    let (mut request, mut reply, mut payload) = ([0; 4096], [0; 4096], [0; 4096]);
    let request_length = initiator.write_message(PAYLOADS[0], &mut request).unwrap();
    let length = responder
        .read_message(&request[..request_length], &mut payload)
        .unwrap();
    assert_eq!(&payload[..length], PAYLOADS[0]);
    let reply_length = responder.write_message(PAYLOADS[1], &mut reply).unwrap();
    let length = initiator
        .read_message(&reply[..reply_length], &mut payload)
        .unwrap();
    assert_eq!(&payload[..length], PAYLOADS[1]);
    assert_eq!(
        initiator.get_handshake_hash(),
        responder.get_handshake_hash()
    );

    let fields = [
        ("prologue", hex(PROLOGUE)),
        ("initiator_static", hex(&client)),
        ("responder_static", hex(&gateway)),
        ("initiator_ephemeral", hex(&client_e)),
        ("responder_ephemeral", hex(&gateway_e)),
        ("kem_seed", hex(&[counted(KEM_D), counted(KEM_Z)].concat())),
        ("encapsulation_m", hex(&counted(ENCAPSULATION_M))),
        ("request_payload", hex(PAYLOADS[0])),
        ("reply_payload", hex(PAYLOADS[1])),
        ("request", hex(&request[..request_length])),
        ("reply", hex(&reply[..reply_length])),
        ("handshake_hash", hex(initiator.get_handshake_hash())),
    ];
    println!("{{\n  \"protocol_name\": \"{NAME}\",");
    fields
        .iter()
        .for_each(|(name, value)| println!("  \"{name}\": \"{value}\","));
    let up = transport(&initiator.into_stateless_transport_mode().unwrap(), "up");
    let down = transport(&responder.into_stateless_transport_mode().unwrap(), "down");
    println!(
        "  \"messages\": [\n{}\n  ]\n}}",
        [up, down].concat().join(",\n")
    );
}
