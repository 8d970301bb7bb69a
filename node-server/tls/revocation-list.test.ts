import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { normalizeSerial, revokedSerials } from './revocation-list.ts'

/** Made by `openssl ca -gencrl`: two serial numbers, one of them with a reason; and the same authority with none. */
const TWO = Buffer.from(
  'MIHnMIGPAgEBMAoGCCqGSM49BAMCMA0xCzAJBgNVBAMMAmNhFw0yNjExMjMwNTA0MThaGA8yMTI2MTAzMDA1MDQxOFowPzATAgIKGxcNMjUxMTIzMDAwMDAwWjAoAgkA' +
    '/wARIjNEVWYXDTI1MTEyMzAwMDAwMFowDDAKBgNVHRUEAwoBAaAOMAwwCgYDVR0UBAMCAQEwCgYIKoZIzj0EAwIDRwAwRAIgJ7jPogDXF9cILtPsCcBf2poJTPzrhX2Y' +
    'fFxk5vObNAgCIC4QrZUrc8EbB8v57zEhTFsOOCOQ4oR0qsl0NSS9wgB9',
  'base64',
)
const NONE = Buffer.from(
  'MIGlME4CAQEwCgYIKoZIzj0EAwIwDTELMAkGA1UEAwwCY2EXDTI2MTEyMzA1MDQxOFoYDzIxMjYxMDMwMDUwNDE4WqAOMAwwCgYDVR0UBAMCAQIwCgYIKoZIzj0EAwID' +
    'RwAwRAIgMEm2HAO/fnM3tMLpmg1SWofSk3IEWOGSOcBKUae+ZQoCIDGwuRoHqxSbzmloFoHocZOmD/85t55ujai6dsi1WXY5',
  'base64',
)

test('the serial numbers come out, as certificates spell them', () => {
  assert.deepEqual(revokedSerials(TWO), { ok: true, value: new Set(['A1B', 'FF00112233445566']) })
  assert.equal(normalizeSerial('0A1B'), 'A1B')
  assert.equal(normalizeSerial('00ff00112233445566'), 'FF00112233445566')
  assert.equal(normalizeSerial('00'), '0')
})

test('a list without entries revokes nothing', () => {
  assert.deepEqual(revokedSerials(NONE), { ok: true, value: new Set() })
})

test('a list that is cut off anywhere is malformed', () => {
  for (let length = 0; length < TWO.length; length++) {
    const cut = revokedSerials(TWO.subarray(0, length))
    assert.match(cut.ok ? '' : cut.error, /^not a certificate revocation list in DER/, `${length} bytes`)
  }
})

test('PEM and anything else are malformed, and nothing throws', () => {
  assert.equal(revokedSerials(Buffer.from('-----BEGIN X509 CRL-----')).ok, false)
  fc.assert(
    fc.property(fc.nat(TWO.length - 1), fc.nat(255), (at, byte) => {
      const changed = Buffer.from(TWO)
      changed[at] = byte
      assert.equal(typeof revokedSerials(changed).ok, 'boolean')
    }),
  )
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 200 }),
      (bytes) => typeof revokedSerials(Buffer.from(bytes)).ok === 'boolean',
    ),
  )
})
