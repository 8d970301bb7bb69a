/** What a member reports about its TLS: by it the operator knows who has a renewed certificate, and who trusts which CA. */
import { X509Certificate } from 'node:crypto'
import type { TlsInForce, TlsScheme } from '../../lib/admin-api.ts'
import type { TlsOptions } from './options.ts'

export interface SideURLs {
  readonly listened: readonly string[]
  readonly advertised: readonly string[]
}

/** Undefined for a side without a certificate. Looks at the files. */
export function tlsInForce(tls: TlsOptions | undefined, { listened, advertised }: SideURLs): TlsInForce | undefined {
  const credentials = tls?.credentials
  if (credentials === undefined) return undefined
  const { leaf, ca = [] } = credentials.current()
  if (leaf === undefined) return undefined
  const { problem } = credentials
  return {
    certificate: digestOf(leaf),
    notAfter: leaf.validToDate.toISOString(),
    trusted: ca.map((pem) => digestOf(new X509Certificate(pem))).toSorted(),
    schemes: [...new Set(listened.map(schemeOf))].toSorted(),
    // One URL that is plain is enough for somebody to come without TLS.
    advertised: advertised.some((url) => schemeOf(url) === 'http') ? 'http' : 'https',
    ...(problem !== undefined && { problem }),
  }
}

function digestOf({ fingerprint256 }: X509Certificate): string {
  return fingerprint256.replaceAll(':', '').toLowerCase()
}

function schemeOf(url: string): TlsScheme {
  return /^(https|unixs):/i.test(url) ? 'https' : 'http'
}
