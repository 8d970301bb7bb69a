/**
 * Of Web Crypto what the operator makes certificates with, done at once: the machine's does it on threads of its own, which a
 * simulation does not wait for. Keys are no part of the seed, and nothing is decided by them.
 */
// Loaded here: the operator does it when it first needs them, and a simulation does not wait for that either.
import 'reflect-metadata'
import '@peculiar/x509'
import { createHash, createPrivateKey, generateKeyPairSync, KeyObject, sign } from 'node:crypto'

const ECDSA = { name: 'ECDSA', namedCurve: 'P-256' }

type Bytes = ArrayBuffer | Uint8Array

const subtle = {
  async generateKey(_algorithm: unknown, isExtractable: boolean): Promise<object> {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    return {
      privateKey: privateKey.toCryptoKey(ECDSA, isExtractable, ['sign']),
      publicKey: publicKey.toCryptoKey(ECDSA, isExtractable, ['verify']),
    }
  },
  async importKey(_format: 'pkcs8', der: Uint8Array): Promise<CryptoKey> {
    const key = createPrivateKey({ key: Buffer.from(der), format: 'der', type: 'pkcs8' })
    return key.toCryptoKey(ECDSA, true, ['sign'])
  },
  async exportKey(type: 'pkcs8' | 'spki', key: CryptoKey): Promise<ArrayBuffer> {
    return copyOf(KeyObject.from(key).export({ type, format: 'der' }))
  },
  async sign(_algorithm: unknown, key: CryptoKey, data: Bytes): Promise<ArrayBuffer> {
    return copyOf(sign('sha256', new Uint8Array(data), { key: KeyObject.from(key), dsaEncoding: 'ieee-p1363' }))
  },
  async digest(algorithm: string | { readonly name: string }, data: Bytes): Promise<ArrayBuffer> {
    const name = typeof algorithm === 'string' ? algorithm : algorithm.name
    return copyOf(createHash(name).update(new Uint8Array(data)).digest())
  },
}

export const SYNCHRONOUS_CRYPTO: Crypto = Object.create(globalThis.crypto, { subtle: { value: subtle } })

function copyOf(bytes: Uint8Array): ArrayBuffer {
  return new Uint8Array(bytes).buffer
}
