/**
 * Serial numbers in a certificate revocation list (RFC 5280 §5.1), in DER as etcd reads it. Only they count: neither the
 * issuer nor the dates are looked at, as in etcd. Pure.
 *
 *   CertificateList = SEQUENCE { tbsCertList, signatureAlgorithm, signature }
 *   tbsCertList     = SEQUENCE { version INTEGER?, signature SEQUENCE, issuer SEQUENCE, thisUpdate Time, nextUpdate Time?,
 *                                revoked SEQUENCE OF SEQUENCE { serial INTEGER, date Time, extensions? }?, [0] extensions? }
 */
import { err, ok, type Result } from '../../lib/result.ts'

const INTEGER = 0x02
const SEQUENCE = 0x30
const UTC_TIME = 0x17
const GENERALIZED_TIME = 0x18

interface Element {
  readonly tag: number
  readonly content: Buffer
}

/** In upper-case hex without leading zeros, see {@link normalizeSerial}. */
export function revokedSerials(der: Buffer): Result<ReadonlySet<string>, string> {
  try {
    return ok(new Set(serialsOf(der)))
  } catch (error) {
    if (!(error instanceof MalformedDer)) throw error
    return err(`not a certificate revocation list in DER: ${error.message}`)
  }
}

/** Two spellings of one number become the same. */
export function normalizeSerial(hex: string): string {
  return hex.toUpperCase().replace(/^0+(?=.)/, '')
}

class MalformedDer extends Error {}

function serialsOf(der: Buffer): string[] {
  const list = only(elements(der), 'more than one element')
  const [tbs, algorithm] = elements(sequence(list, 'the list'))
  if (algorithm?.tag !== SEQUENCE) throw new MalformedDer('no signature algorithm')
  const fields = elements(sequence(tbs, 'what is signed'))
  let at = fields[0]?.tag === INTEGER ? 1 : 0
  sequence(fields[at++], 'the signature algorithm')
  sequence(fields[at++], 'the issuer')
  if (!isTime(fields[at++])) throw new MalformedDer('no date of issue')
  if (isTime(fields[at])) at += 1
  const revoked = fields[at]
  if (revoked?.tag !== SEQUENCE) return []
  return elements(revoked.content).map((entry) => {
    const [serial, date] = elements(sequence(entry, 'an entry'))
    if (serial?.tag !== INTEGER || !isTime(date)) throw new MalformedDer('an entry without serial number or date')
    return normalizeSerial(serial.content.toString('hex'))
  })
}

function isTime(element: Element | undefined): boolean {
  return element?.tag === UTC_TIME || element?.tag === GENERALIZED_TIME
}

function sequence(element: Element | undefined, what: string): Buffer {
  if (element?.tag !== SEQUENCE) throw new MalformedDer(`${what} is no sequence`)
  return element.content
}

function only(all: readonly Element[], problem: string): Element | undefined {
  if (all.length > 1) throw new MalformedDer(problem)
  return all[0]
}

function elements(der: Buffer): Element[] {
  const found: Element[] = []
  for (let at = 0; at < der.length;) {
    const tag = der.readUInt8(at)
    const [sizeBytes, headerBytes] = lengthAt(der, at + 1)
    const start = at + 1 + headerBytes
    if (start + sizeBytes > der.length) throw new MalformedDer('an element longer than what holds it')
    found.push({ tag, content: der.subarray(start, start + sizeBytes) })
    at = start + sizeBytes
  }
  return found
}

/** The length, and how many bytes say it. */
function lengthAt(der: Buffer, at: number): readonly [number, number] {
  if (at >= der.length) throw new MalformedDer('it ends within an element')
  const first = der.readUInt8(at)
  if (first < 0x80) return [first, 1]
  const count = first - 0x80
  if (count === 0 || count > 4 || at + 1 + count > der.length) throw new MalformedDer('a length that is none')
  return [der.readUIntBE(at + 1, count), 1 + count]
}
