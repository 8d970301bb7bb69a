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
 *                                          or  refused: removed (1) ‖ HMAC (32)
 *
 *   HMAC-SHA-256 over: what it shows (1: proof, 2: welcome, 3: removed) ‖ cluster (8) ‖ from (8) ‖ to (8) ‖ purpose (1) ‖
 *                      listener's nonce ‖ dialer's nonce
 *
 * Who hears that it was removed is of no more use forever: where the secret is required, nobody else is believed that.
 * A hello of version 2, by who has no secret or is of the version before, is not challenged. Pure but for the nonces.
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { ByteWriter, MalformedBytes } from '../../lib/bytes.ts'
import { PURPOSES, type Hello } from './frame.ts'

export const NONCE_SIZE_BYTES = 32
const HMAC_SIZE_BYTES = 32
const SHOWN = { proof: 1, welcome: 2, removed: 3 } as const

export type Answer = 'welcome' | 'removed'

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
  return Buffer.concat([exchange.dialerNonce, ...secrets.map((secret) => hmac(secret, 'proof', exchange))])
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
    const expected = hmac(secret, 'proof', exchange)
    return shown.some((each) => timingSafeEqual(each, expected))
  })
}

/** What the listener shows with its answer. */
export function answerOf(secret: string, answer: Answer, exchange: Exchange): Buffer {
  return hmac(secret, answer, exchange)
}

export function isAnswer(shown: Buffer, answer: Answer, secrets: readonly string[], exchange: Exchange): boolean {
  if (shown.length !== HMAC_SIZE_BYTES) return false
  return secrets.some((secret) => timingSafeEqual(shown, answerOf(secret, answer, exchange)))
}

function hmac(secret: string, what: keyof typeof SHOWN, exchange: Exchange): Buffer {
  const { hello, listenerNonce, dialerNonce } = exchange
  const about = new ByteWriter(32).u8(SHOWN[what]).u64(hello.clusterId).u64(hello.from).u64(hello.to)
  about.u8(PURPOSES.indexOf(hello.purpose))
  return createHmac('sha256', secret).update(about.finish()).update(listenerNonce).update(dialerNonce).digest()
}
