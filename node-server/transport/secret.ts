/**
 * Where peers show no certificates, both ends of a connection show that they know the cluster's secret before anything else is
 * said; it never crosses the network. What follows is neither encrypted nor sealed: TLS is what helps against those who can
 * change what others say.
 *
 *   dialer                                     listener
 *   hello, version 3 ────────────────────────►
 *                    ◄──────────────────────── challenge: nonce (32)
 *   proof: nonce (32) ‖ HMACs (32 each) ─────►                         one for each secret that the dialer knows
 *                    ◄──────────────────────── welcome: HMAC (32)      with the secret that both know; empty when there is none
 *
 *   HMAC-SHA-256 over: who shows it (1: dialer, 2: listener) ‖ cluster (8) ‖ from (8) ‖ to (8) ‖ purpose (1) ‖ listener's nonce ‖ dialer's nonce
 *
 * A hello of version 2, by who has no secret or is of the version before, is not challenged. Pure but for the nonces.
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { ByteWriter, MalformedBytes } from '../../lib/bytes.ts'
import { PURPOSES, type Hello } from './frame.ts'

export const NONCE_SIZE_BYTES = 32
const HMAC_SIZE_BYTES = 32
const DIALER = 1
const LISTENER = 2

/** What a connection is about, as both ends see it. */
export interface Exchange {
  readonly hello: Pick<Hello, 'clusterId' | 'from' | 'to' | 'purpose'>
  readonly listenerNonce: Buffer
  readonly dialerNonce: Buffer
}

export function newNonce(): Buffer {
  return randomBytes(NONCE_SIZE_BYTES)
}

/** The payload of a proof. */
export function proofOf(secrets: readonly string[], exchange: Exchange): Buffer {
  return Buffer.concat([exchange.dialerNonce, ...secrets.map((secret) => hmac(secret, DIALER, exchange))])
}

export interface Proof {
  readonly dialerNonce: Buffer
  readonly shown: readonly Buffer[]
}

/** Throws MalformedBytes. */
export function decodeProof(payload: Buffer, maxSecrets: number): Proof {
  const shownBytes = payload.length - NONCE_SIZE_BYTES
  if (shownBytes < 0 || shownBytes % HMAC_SIZE_BYTES !== 0 || shownBytes > maxSecrets * HMAC_SIZE_BYTES)
    throw new MalformedBytes(`a proof of ${payload.length} bytes`)
  const shown: Buffer[] = []
  for (let at = NONCE_SIZE_BYTES; at < payload.length; at += HMAC_SIZE_BYTES)
    shown.push(payload.subarray(at, at + HMAC_SIZE_BYTES))
  return { dialerNonce: payload.subarray(0, NONCE_SIZE_BYTES), shown }
}

/** The secret that the dialer knows as well: the newest of them. */
export function commonSecret(
  secrets: readonly string[],
  shown: readonly Buffer[],
  exchange: Exchange,
): string | undefined {
  return secrets.find((secret) => {
    const expected = hmac(secret, DIALER, exchange)
    return shown.some((each) => timingSafeEqual(each, expected))
  })
}

/** The payload of the welcome. */
export function answerOf(secret: string, exchange: Exchange): Buffer {
  return hmac(secret, LISTENER, exchange)
}

export function isAnswer(payload: Buffer, secrets: readonly string[], exchange: Exchange): boolean {
  if (payload.length !== HMAC_SIZE_BYTES) return false
  return secrets.some((secret) => timingSafeEqual(payload, answerOf(secret, exchange)))
}

function hmac(secret: string, shownBy: typeof DIALER | typeof LISTENER, exchange: Exchange): Buffer {
  const { hello, listenerNonce, dialerNonce } = exchange
  const about = new ByteWriter(32).u8(shownBy).u64(hello.clusterId).u64(hello.from).u64(hello.to)
  about.u8(PURPOSES.indexOf(hello.purpose))
  return createHmac('sha256', secret).update(about.finish()).update(listenerNonce).update(dialerNonce).digest()
}
