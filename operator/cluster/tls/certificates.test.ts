/** Chains: which CA a certificate hangs on. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import 'reflect-metadata'
import * as x509 from '@peculiar/x509'
import { anchorOf, certificatesIn, pairOf, pemOf } from './certificates.ts'

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const

interface Made {
  readonly name: string
  readonly keys: { readonly publicKey: CryptoKey; readonly privateKey: CryptoKey }
  readonly pem: string
}

async function made(name: string, signer: Made | undefined): Promise<Made> {
  const keys = await crypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: `4${randomBytes(8).toString('hex')}`,
    subject: `CN=${name}`,
    issuer: `CN=${signer?.name ?? name}`,
    signingAlgorithm: ALGORITHM,
    publicKey: keys.publicKey,
    signingKey: (signer?.keys ?? keys).privateKey,
    extensions: [new x509.BasicConstraintsExtension(name !== 'leaf', undefined, true)],
  })
  return { name, keys, pem: `${certificate.toString('pem')}\n` }
}

test('a certificate hangs on a CA by way of those that are shown with it, in whatever order, and by no other', async () => {
  const root = await made('root', undefined)
  const upper = await made('upper', root)
  const lower = await made('lower', upper)
  const leaf = await made('leaf', lower)
  const chain = (...all: readonly Made[]): ReturnType<typeof certificatesIn> =>
    certificatesIn(all.map(({ pem }) => pem).join(''))
  const anchors = (shown: readonly Made[], trusted: readonly Made[]): string | undefined =>
    anchorOf({ chain: chain(...shown) }, chain(...trusted))?.parsed.subject
  assert.equal(anchors([leaf, lower, upper], [root]), 'CN=root')
  assert.equal(anchors([leaf, upper, lower, root], [root]), 'CN=root')
  assert.equal(anchors([leaf], [root, lower]), 'CN=lower')
  assert.equal(anchors([leaf, upper], [root]), undefined)
  assert.equal(anchors([leaf, lower, upper, root], [await made('root', undefined)]), undefined)
  assert.equal(anchors([], [root]), undefined)
})

async function keyOf({ keys }: Made): Promise<string> {
  const der = Buffer.from(await crypto.subtle.exportKey('pkcs8', keys.privateKey))
  return `-----BEGIN PRIVATE KEY-----\n${der.toString('base64')}\n-----END PRIVATE KEY-----\n`
}

test('a text that was read before is not read again, and a certificate that has its key has no other', async () => {
  const [root, other] = [await made('root', undefined), await made('other', undefined)]
  assert.equal(certificatesIn(root.pem)[0], certificatesIn(other.pem + root.pem)[1])
  const key = await keyOf(root)
  for (let i = 0; i < 2; i++) {
    assert.notEqual(pairOf(root.pem, key), undefined)
    assert.equal(pairOf(root.pem, await keyOf(other)), undefined)
    assert.equal(pairOf(root.pem, ''), undefined)
  }
})

test('a pair keeps what is shown with it', async () => {
  const root = await made('root', undefined)
  const leaf = await made('leaf', root)
  const key = await keyOf(leaf)
  const pair = pairOf(leaf.pem + root.pem, key)
  assert.equal(pair && pemOf(pair.chain), leaf.pem + root.pem)
  assert.equal(pairOf(root.pem, key), undefined)
})
