/** What the flags say about TLS, with etcd's rules on what goes together (etcd: client/pkg/transport, server/embed). Pure. */
import { isSecureURL } from './urls.ts'
import type { FlagName } from './table.ts'
import type { Flags } from './values.ts'
import type { TlsOptions } from '../tls/options.ts'

type Version = TlsOptions['minVersion']

const VERSIONS: Readonly<Record<string, Version>> = { 'TLS1.2': 'TLSv1.2', 'TLS1.3': 'TLSv1.3' }

export interface TlsConfig {
  readonly clientTls: TlsOptions | undefined
  readonly peerTls: TlsOptions | undefined
}

export function readTls(flags: Flags): TlsConfig {
  const common = readCommon(flags)
  const clientTls = readSide(flags, common, {
    certFile: 'cert-file',
    keyFile: 'key-file',
    clientCertFile: 'client-cert-file',
    clientKeyFile: 'client-key-file',
    trustedCaFile: 'trusted-ca-file',
    clientCertAuth: 'client-cert-auth',
    clientCertOptional: 'client-cert-optional',
    crlFile: 'client-crl-file',
    allowedHostnames: 'client-cert-allowed-hostname',
    autoTls: 'auto-tls',
  })
  const peerTls = readSide(flags, common, {
    certFile: 'peer-cert-file',
    keyFile: 'peer-key-file',
    clientCertFile: 'peer-client-cert-file',
    clientKeyFile: 'peer-client-key-file',
    trustedCaFile: 'peer-trusted-ca-file',
    clientCertAuth: 'peer-client-cert-auth',
    crlFile: 'peer-crl-file',
    allowedCNs: 'peer-cert-allowed-cn',
    allowedHostnames: 'peer-cert-allowed-hostname',
    autoTls: 'peer-auto-tls',
    skipClientSanVerification: 'peer-skip-client-san-verification',
  })
  return { clientTls, peerTls }
}

type Common = Pick<TlsOptions, 'selfSignedCertValidity' | 'cipherSuites' | 'minVersion' | 'maxVersion'>

function readCommon(flags: Flags): Common {
  const minVersion = readVersion(flags, 'tls-min-version') ?? 'TLSv1.2'
  const maxVersion = readVersion(flags, 'tls-max-version')
  const cipherSuites = flags.list('cipher-suites')
  if (maxVersion !== undefined && minVersion > maxVersion)
    flags.refuse('tls-min-version', `it is greater than --tls-max-version (${flags.text('tls-max-version')})`)
  if (minVersion === 'TLSv1.3' && cipherSuites.length > 0)
    flags.refuse('cipher-suites', 'cipher suites cannot be chosen for TLS 1.3, and no older one is allowed')
  return {
    selfSignedCertValidity: flags.integer('self-signed-cert-validity', 1, 100),
    cipherSuites,
    minVersion,
    maxVersion,
  }
}

function readVersion(flags: Flags, name: FlagName): Version | undefined {
  const text = flags.text(name)
  if (text === '') return undefined
  const version = Object.hasOwn(VERSIONS, text) ? VERSIONS[text] : undefined
  if (version === undefined) flags.refuse(name, `'${text}' is none of ${Object.keys(VERSIONS).join(', ')}`)
  return version
}

interface Side {
  readonly certFile: FlagName
  readonly keyFile: FlagName
  readonly clientCertFile: FlagName
  readonly clientKeyFile: FlagName
  readonly trustedCaFile: FlagName
  readonly clientCertAuth: FlagName
  readonly clientCertOptional?: FlagName
  readonly crlFile: FlagName
  readonly allowedCNs?: FlagName
  readonly allowedHostnames: FlagName
  readonly autoTls: FlagName
  readonly skipClientSanVerification?: FlagName
}

function readSide(flags: Flags, common: Common, side: Side): TlsOptions | undefined {
  const names: readonly FlagName[] = Object.values(side)
  if (!names.some((name) => flags.has(name))) return undefined
  const certFile = flags.path(side.certFile)
  const keyFile = flags.path(side.keyFile)
  const isGiven = certFile !== undefined || keyFile !== undefined
  if (isGiven) bothOrNone(flags, side.certFile, side.keyFile)
  bothOrNone(flags, side.clientCertFile, side.clientKeyFile)
  const allowedCNs = side.allowedCNs === undefined ? [] : flags.list(side.allowedCNs)
  const allowedHostnames = flags.list(side.allowedHostnames)
  if (side.allowedCNs !== undefined && allowedCNs.length > 0 && allowedHostnames.length > 0)
    flags.refuse(side.allowedCNs, `not together with --${side.allowedHostnames}: give one of them`)
  const clientCertOptional = side.clientCertOptional !== undefined && flags.switch(side.clientCertOptional)
  if (clientCertOptional) checkOptional(flags, side)
  return {
    certFile,
    keyFile,
    clientCertFile: flags.path(side.clientCertFile),
    clientKeyFile: flags.path(side.clientKeyFile),
    trustedCaFile: flags.path(side.trustedCaFile),
    clientCertAuth: flags.switch(side.clientCertAuth),
    clientCertOptional,
    crlFile: flags.path(side.crlFile),
    allowedCNs,
    allowedHostnames,
    autoTls: flags.switch(side.autoTls),
    skipClientSanVerification:
      side.skipClientSanVerification !== undefined && flags.switch(side.skipClientSanVerification),
    ...common,
  }
}

function checkOptional(flags: Flags, side: Side): void {
  if (side.clientCertOptional === undefined) return
  if (flags.switch(side.clientCertAuth))
    flags.refuse(
      side.clientCertOptional,
      `not together with --${side.clientCertAuth}, which requires what this leaves open`,
    )
  if (flags.path(side.trustedCaFile) === undefined)
    flags.refuse(side.clientCertOptional, `needs --${side.trustedCaFile}: what is shown is verified`)
}

function bothOrNone(flags: Flags, cert: FlagName, key: FlagName): void {
  if (flags.path(cert) === undefined && flags.path(key) !== undefined) flags.refuse(cert, `required with --${key}`)
  if (flags.path(cert) !== undefined && flags.path(key) === undefined) flags.refuse(key, `required with --${cert}`)
}

/** What is listened on with TLS needs a certificate. That there is one and no use for it is told where it is loaded. */
export function checkSchemes(
  flags: Flags,
  name: FlagName,
  urls: readonly string[],
  tls: TlsOptions | undefined,
  certFlags: readonly [FlagName, FlagName],
): void {
  const hasCertificate = tls !== undefined && (tls.autoTls || tls.certFile !== undefined)
  for (const url of urls) {
    if (isSecureURL(url) && !hasCertificate)
      flags.refuse(name, `'${url}' needs a certificate and its key: give --${certFlags[0]} and --${certFlags[1]}`)
  }
}
