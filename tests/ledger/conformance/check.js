// Checks proofs and checkpoints with @sigstore/verify, the verifier that npm itself uses.
// Reads one JSON object on standard input, writes one JSON list of booleans.
const crypto = require('crypto');
const { verifyMerkleInclusion } = require('@sigstore/verify/dist/tlog/merkle');
const { verifyCheckpoint } = require('@sigstore/verify/dist/tlog/checkpoint');

const input = JSON.parse(require('fs').readFileSync(0, 'utf8'));
const [name, keyId, ...rest] = input.Vkey.split('+');
const material = rest.join('+'); // base64 has plus signs of its own
const der = Buffer.concat([
  Buffer.from('302a300506032b6570032100', 'hex'),
  Buffer.from(material, 'base64').subarray(1),
]);
const log = {
  logID: Buffer.from(keyId, 'hex'),
  baseURL: name,
  publicKey: crypto.createPublicKey({ key: der, format: 'der', type: 'spki' }),
};

function accepted(each) {
  try {
    const entry = {
      logIndex: String(each.Index),
      canonicalizedBody: Buffer.from(each.Entry, 'base64'),
      inclusionProof: {
        logIndex: String(each.Index),
        treeSize: each.Note.split('\n')[1],
        hashes: each.Hashes.map((hash) => Buffer.from(hash, 'base64')),
        checkpoint: { envelope: each.Note },
      },
    };
    verifyMerkleInclusion(entry, verifyCheckpoint(entry, [log]));
    return true;
  } catch (error) {
    if (error.name !== 'Error' && error.constructor.name !== 'VerificationError') throw error;
    return false;
  }
}

process.stdout.write(JSON.stringify(input.Inclusion.map(accepted)));
