/** Which protocol a connection speaks, told by what it says first. */
import type { Duplex } from 'node:stream'
import { METHODS } from './node-http.ts'

export type Protocol = 'tls' | 'http1' | 'http2'
export type Verdict = Protocol | 'unknown' | 'undecided'

const TLS_HANDSHAKE_RECORD = 0x16
/** How a connection of HTTP/2 begins. */
const PREFACE = 'PRI '
/** How requests of HTTP/1.1 begin. */
const METHOD_WORDS: readonly string[] = METHODS.map((method) => `${method} `)
const MAX_WORD_BYTES = Math.max(...METHOD_WORDS.map((word) => word.length))

/** By its first word, as etcd does: what is a method of nothing gets no answer in a protocol that it does not speak. */
export function protocolOf(bytes: Buffer): Verdict {
  if (bytes.length === 0) return 'undecided'
  if (bytes[0] === TLS_HANDSHAKE_RECORD) return 'tls'
  const text = bytes.toString('latin1', 0, MAX_WORD_BYTES)
  if (text.startsWith(PREFACE)) return 'http2'
  if (METHOD_WORDS.some((word) => text.startsWith(word))) return 'http1'
  return PREFACE.startsWith(text) || METHOD_WORDS.some((word) => word.startsWith(text)) ? 'undecided' : 'unknown'
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
