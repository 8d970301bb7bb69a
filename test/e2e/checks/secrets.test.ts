import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import test from 'node:test'
import { disclosedIn, tracesOf } from './secrets.ts'

const base64 = (text: string): string => Buffer.from(text).toString('base64')
const { privateKey, publicKey } = generateKeyPairSync('ec', {
  namedCurve: 'P-256',
  privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  publicKeyEncoding: { type: 'spki', format: 'pem' },
})
const CERTIFICATE = '-----BEGIN CERTIFICATE-----\nMIIBszCCAVmgAwIBAgIQ\n-----END CERTIFICATE-----\n'
const traces = tracesOf([
  { name: 'ns/token', data: { token: base64('correct-horse-battery\n') } },
  { name: 'ns/tls', data: { 'tls.crt': base64(CERTIFICATE), 'tls.key': base64(privateKey) } },
  { name: 'ns/root', data: { username: base64('root') } },
])

test('a value is found in a line of JSON, in base64, and among others', () => {
  assert.deepEqual(disclosedIn('{"headers":{"token":"correct-horse-battery"}}', traces), ['token of ns/token'])
  assert.deepEqual(disclosedIn(`data: ${base64('correct-horse-battery\n')}`, traces), ['token of ns/token'])
})

test('a private key is found however its lines are told apart', () => {
  for (const text of [privateKey, JSON.stringify(privateKey), privateKey.split('\n')[2] ?? '', base64(privateKey)])
    assert.deepEqual(disclosedIn(text, traces), ['tls.key of ns/tls'], text)
})

test('certificates, public keys and short names are no disclosure', () => {
  assert.deepEqual(disclosedIn(CERTIFICATE + publicKey + base64(CERTIFICATE) + 'user root', traces), [])
})
