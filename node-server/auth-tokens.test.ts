import assert from 'node:assert/strict'
import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { test } from 'node:test'
import { ManualClock } from '../lib/testing/manual-clock.ts'
import { err, ok } from '../lib/result.ts'
import { openTokens } from './auth-tokens.ts'
import type { TokenConfig } from './config/auth.ts'
import { SIGN_METHODS, type SignMethod } from './node/auth/sign-methods.ts'
import type { SignedTokens } from './node/auth/tokens.ts'

const PEM = { type: 'spki', format: 'pem' } as const
const KEY_PEM = { type: 'pkcs8', format: 'pem' } as const

interface Pair {
  readonly publicKey: KeyObject
  readonly privateKey: KeyObject
}

function pairFor(method: SignMethod): Pair {
  if (method === 'EdDSA') return generateKeyPairSync('ed25519')
  if (method.startsWith('ES')) {
    const curves: Readonly<Record<string, string>> = { ES256: 'P-256', ES384: 'P-384', ES512: 'P-521' }
    return generateKeyPairSync('ec', { namedCurve: curves[method] ?? '' })
  }
  return RSA_PAIR
}

const RSA_PAIR = generateKeyPairSync('rsa', { modulusLength: 2048 })

interface Given {
  readonly files: Readonly<Record<string, string>>
  readonly config: Partial<Extract<TokenConfig, { kind: 'jwt' }>> & { readonly method: SignMethod }
  readonly clock?: ManualClock
}

function open({ files, config, clock = new ManualClock() }: Given): SignedTokens | string {
  const jwt = { kind: 'jwt', publicKeyFile: undefined, privateKeyFile: undefined, ttlMs: 60_000, ...config } as const
  const opened = openTokens(jwt, clock, (path) => {
    const text = files[path]
    return text === undefined ? err(`there is no ${path}`) : ok(text)
  })
  if (!opened.ok) return opened.error
  assert.ok(opened.value.kind === 'signed')
  return opened.value
}

function mustOpen(given: Given): SignedTokens {
  const opened = open(given)
  assert.ok(typeof opened !== 'string', typeof opened === 'string' ? opened : '')
  return opened
}

function bothKeys(method: SignMethod, clock?: ManualClock): SignedTokens {
  if (method.startsWith('HS'))
    return mustOpen({
      files: { k: 'a secret of both sides' },
      config: { method, privateKeyFile: 'k' },
      ...(clock && { clock }),
    })
  const { publicKey, privateKey } = pairFor(method)
  const files = { pub: publicKey.export(PEM), priv: privateKey.export(KEY_PEM) }
  return mustOpen({ files, config: { method, publicKeyFile: 'pub', privateKeyFile: 'priv' }, ...(clock && { clock }) })
}

const INFO = { username: 'u', revision: 7 }

for (const method of SIGN_METHODS)
  test(`a token signed by ${method} says who it is for and since when`, async () => {
    const tokens = bothKeys(method)
    const token = await tokens.sign(INFO)
    assert.ok(token !== undefined)
    assert.deepEqual(await tokens.verify(token), INFO)
    const [head = '', body = '', signature = ''] = token.split('.')
    const other = Buffer.from(body, 'base64url').toString().replace('"u"', '"root"')
    assert.equal(await tokens.verify([head, Buffer.from(other).toString('base64url'), signature].join('.')), undefined)
  })

test('a token ends', async () => {
  const clock = new ManualClock()
  const tokens = bothKeys('HS256', clock)
  const token = (await tokens.sign(INFO)) ?? ''
  await clock.advance(59_000)
  assert.deepEqual(await tokens.verify(token), INFO)
  await clock.advance(2000)
  assert.equal(await tokens.verify(token), undefined)
})

test('with the public key alone tokens are verified and not made', async () => {
  const { publicKey, privateKey } = pairFor('ES256')
  const files = { pub: publicKey.export(PEM), priv: privateKey.export(KEY_PEM) }
  const verifying = mustOpen({ files, config: { method: 'ES256', publicKeyFile: 'pub' } })
  const signing = mustOpen({ files, config: { method: 'ES256', privateKeyFile: 'priv' } })
  assert.equal(await verifying.sign(INFO), undefined)
  assert.deepEqual(await verifying.verify((await signing.sign(INFO)) ?? ''), INFO)
})

test('only the method counts that was configured: neither none, nor the public key as a secret', async () => {
  const tokens = bothKeys('RS256')
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
  const claims = part({ ...INFO, exp: 4_102_444_800 })
  assert.equal(await tokens.verify(`${part({ alg: 'none', typ: 'JWT' })}.${claims}.`), undefined)
  const pem = RSA_PAIR.publicKey.export(PEM)
  const forger = mustOpen({ files: { k: pem }, config: { method: 'HS256', privateKeyFile: 'k' } })
  assert.equal(await tokens.verify((await forger.sign(INFO)) ?? ''), undefined)
  const sibling = mustOpen({
    files: { k: RSA_PAIR.privateKey.export(KEY_PEM) },
    config: { method: 'RS512', privateKeyFile: 'k' },
  })
  assert.equal(await tokens.verify((await sibling.sign(INFO)) ?? ''), undefined)
  for (const token of ['', 'a.b.c', 'nonsense']) assert.equal(await tokens.verify(token), undefined)
})

test('keys that do not do what is asked of them are told at the start', () => {
  const ec = pairFor('ES256')
  const files = {
    ec: ec.privateKey.export(KEY_PEM),
    other: pairFor('ES256').publicKey.export(PEM),
    bad: 'no key',
  }
  const say = (config: Given['config']): string => {
    const opened = open({ files, config })
    return typeof opened === 'string' ? opened : 'opened'
  }
  assert.match(say({ method: 'RS256', privateKeyFile: 'ec' }), /a key of type ec does not sign by RS256/)
  assert.match(say({ method: 'ES384', privateKeyFile: 'ec' }), /does not sign by ES384/)
  assert.match(say({ method: 'ES256', privateKeyFile: 'ec', publicKeyFile: 'other' }), /keys don't match/)
  assert.match(say({ method: 'ES256', privateKeyFile: 'bad' }), /^--auth-token: /)
  assert.match(say({ method: 'ES256', privateKeyFile: 'absent' }), /there is no absent/)
})
