/** Makes keys and certificates: ECDSA on P-256. Effects: randomness, and nothing else. What is to be made is decided in rules/tls.ts. */
import { createPrivateKey } from 'node:crypto'
import { isIP } from 'node:net'
import type * as X509 from '@peculiar/x509'
import { AUTHORITY_LIFE_MS, LEAF_LIFE_MS } from '../../api/tls.ts'
import type { Pair } from './certificates.ts'
import { BACKDATED_MS, type LeafRequest, usages } from './leaves.ts'

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const
const SERIAL_SIZE_BYTES = 16

/** PEM. */
export interface Issued {
  readonly certificate: string
  readonly key: string
}

interface Making {
  readonly nowMs: number
  readonly randomBytes: (count: number) => Uint8Array
}

export async function makeAuthority(commonName: string, { nowMs, randomBytes }: Making): Promise<Issued> {
  const x509 = await library()
  const keys = await crypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])
  const { keyCertSign, cRLSign } = x509.KeyUsageFlags
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(randomBytes),
    name: [{ CN: [commonName] }],
    notBefore: new Date(nowMs - BACKDATED_MS),
    notAfter: new Date(nowMs + AUTHORITY_LIFE_MS),
    signingAlgorithm: ALGORITHM,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(keyCertSign | cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  })
  return { certificate: `${certificate.toString('pem')}\n`, key: await pemOf(keys.privateKey) }
}

export async function makeLeaf(request: LeafRequest, signer: Pair, { nowMs, randomBytes }: Making): Promise<Issued> {
  const x509 = await library()
  const keys = await crypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])
  const authority = new x509.X509Certificate(signer.certificate.pem)
  const der = createPrivateKey(signer.key).export({ type: 'pkcs8', format: 'der' })
  const signingKey = await crypto.subtle.importKey('pkcs8', new Uint8Array(der), ALGORITHM, false, ['sign'])
  const hosts = request.names.map((value) => ({ type: isIP(value) === 0 ? 'dns' : 'ip', value }) as const)
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serialNumber(randomBytes),
    subject: [{ CN: [request.commonName] }],
    issuer: authority.subjectName,
    notBefore: new Date(nowMs - BACKDATED_MS),
    // None outlives who signed it.
    notAfter: new Date(Math.min(nowMs + LEAF_LIFE_MS, signer.certificate.notAfterMs)),
    signingAlgorithm: ALGORITHM,
    signingKey,
    publicKey: keys.publicKey,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension(usages(request).map((purpose) => x509.ExtendedKeyUsage[purpose])),
      await x509.AuthorityKeyIdentifierExtension.create(authority),
      ...(hosts.length === 0 ? [] : [new x509.SubjectAlternativeNameExtension(hosts)]),
    ],
  })
  return { certificate: `${certificate.toString('pem')}\n`, key: await pemOf(keys.privateKey) }
}

/** It takes half a second to load, and without TLS nobody needs it. */
async function library(): Promise<typeof X509> {
  await import('reflect-metadata')
  return import('@peculiar/x509')
}

async function pemOf(key: CryptoKey): Promise<string> {
  const der = Buffer.from(await crypto.subtle.exportKey('pkcs8', key))
  return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' }).export({ type: 'pkcs8', format: 'pem' })
}

/** At most 20 bytes, and positive (RFC 5280 §4.1.2.2). */
function serialNumber(randomBytes: Making['randomBytes']): string {
  const bytes = Buffer.from(randomBytes(SERIAL_SIZE_BYTES))
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40
  return bytes.toString('hex')
}
