/**
 * Who a certificate says that a peer is. The CA vouches for all members alike, so without this any of them, or whoever has the
 * key of one, could speak for the others. Pure.
 */
import type { X509Certificate } from 'node:crypto'
import { parseAddressURL, serverName } from '../address/address.ts'
import { alternativeNames, isFor } from '../tls/peer-check.ts'

/**
 * Undefined when the certificate is for a host of one of the peer URLs: that of a member that listens there, as whoever dials
 * it is shown. Wildcards count.
 */
export function identityProblem(certificate: X509Certificate, peerURLs: readonly string[]): string | undefined {
  const hosts = peerURLs.flatMap((url) => {
    const parsed = parseAddressURL(url)
    return parsed.ok ? [serverName(parsed.value.address)] : []
  })
  if (hosts.some((host) => isFor(certificate, host))) return undefined
  const { dns, addresses } = alternativeNames(certificate)
  const names = [...dns, ...addresses]
  return `its certificate is valid for ${names.length === 0 ? 'no host' : names.join(', ')}, not for ${hosts.join(', ')}`
}
