/** Which protocol a connection speaks, told by what it says first. */
import type { Duplex } from 'node:stream'

export type Protocol = 'tls' | 'http1' | 'http2'
export type Verdict = Protocol | 'unknown' | 'undecided'

const TLS_HANDSHAKE_RECORD = 0x16
/** How HTTP/2's connection preface begins; no method of HTTP/1.1 does. */
const PREFACE = Buffer.from('PRI ')

export function protocolOf(bytes: Buffer): Verdict {
  const first = bytes[0]
  if (first === undefined) return 'undecided'
  if (first === TLS_HANDSHAKE_RECORD) return 'tls'
  const isMethod = first >= 0x41 && first <= 0x5a
  if (!isMethod) return 'unknown'
  const length = Math.min(bytes.length, PREFACE.length)
  if (!bytes.subarray(0, length).equals(PREFACE.subarray(0, length))) return 'http1'
  return length === PREFACE.length ? 'http2' : 'undecided'
}

/** Calls back once, with all bytes still to be read; not at all when the connection ends before. */
export function onFirstBytes(connection: Duplex, decided: (protocol: Protocol | 'unknown') => void): void {
  let held = Buffer.alloc(0)
  const onReadable = (): void => {
    for (let chunk: Buffer | null; (chunk = connection.read()) !== null;) held = Buffer.concat([held, chunk])
    const verdict = protocolOf(held)
    if (verdict === 'undecided') return
    connection.off('readable', onReadable)
    connection.off('end', onEnd)
    connection.unshift(held)
    decided(verdict)
  }
  const onEnd = (): void => {
    connection.destroy()
  }
  connection.on('readable', onReadable).once('end', onEnd)
}
