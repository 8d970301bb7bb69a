/** Versions and cipher suites, for both ends. */
import { getCiphers, type SecureVersion } from 'node:tls'
import { err, ok, type Result } from '../../lib/result.ts'
import { cipherList } from './cipher-suites.ts'
import type { TlsLog } from './credentials.ts'
import type { TlsOptions } from './options.ts'

/** As Node takes them. */
export interface TlsSettings {
  readonly minVersion: SecureVersion
  readonly maxVersion?: SecureVersion
  readonly ciphers?: string
}

export function tlsSettings(options: TlsOptions, log: TlsLog): Result<TlsSettings, string> {
  const { minVersion, maxVersion, cipherSuites } = options
  if (maxVersion !== undefined && minVersion > maxVersion)
    return err(`min version (${minVersion}) is greater than max version (${maxVersion})`)
  if (minVersion === 'TLSv1.3' && cipherSuites.length > 0)
    return err('cipher suites cannot be configured when only TLS1.3 is enabled')
  const list = cipherList(cipherSuites, new Set(getCiphers()))
  if (!list.ok) return list
  const { ciphers, missing } = list.value
  if (missing.length > 0)
    log.warn({ suites: missing }, 'this OpenSSL does not have these cipher suites: they are left out')
  return ok({
    minVersion,
    ...(maxVersion === undefined ? {} : { maxVersion }),
    ...(ciphers === undefined ? {} : { ciphers }),
  })
}
