import assert from 'node:assert/strict'
import { test } from 'node:test'
import { getCiphers } from 'node:tls'
import { cipherList } from './cipher-suites.ts'

const available = new Set(getCiphers())
const TLS13 = 'TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256'

test('no choice leaves the defaults', () => {
  assert.deepEqual(cipherList([], available), { ok: true, value: { ciphers: undefined, missing: [] } })
})

test("Go's names become OpenSSL's, in the order given; older spellings are the same suites", () => {
  const list = cipherList(
    [
      'TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256',
      'TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305',
      'TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256',
    ],
    available,
  )
  assert.ok(list.ok)
  assert.equal(list.value.ciphers, `ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305:${TLS13}`)
})

test('suites of TLS 1.3 cannot be chosen: naming them changes nothing', () => {
  const list = cipherList(['TLS_AES_128_GCM_SHA256'], available)
  assert.equal(list.ok && list.value.ciphers, TLS13)
})

test('an unknown name is refused as etcd refuses it', () => {
  const list = cipherList(['TLS_NOTHING'], available)
  assert.equal(!list.ok && list.error, 'unexpected TLS cipher suite "TLS_NOTHING"')
})

test('a suite that this OpenSSL lacks is left out; when none remains that is an error', () => {
  const some = cipherList(['TLS_RSA_WITH_RC4_128_SHA', 'TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA'], available)
  assert.deepEqual(some.ok && some.value.missing, ['TLS_RSA_WITH_RC4_128_SHA'])
  const none = cipherList(['TLS_RSA_WITH_RC4_128_SHA'], available)
  assert.match(none.ok ? '' : none.error, /has none of the suites TLS_RSA_WITH_RC4_128_SHA/)
})
