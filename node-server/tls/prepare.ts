/** From the flags' TLS options to those that listeners and dialers take: certificates made where asked, oddities told. */
import { join } from 'node:path'
import { err, ok, type Result } from '../../lib/result.ts'
import { selfSignedFiles } from './self-signed.ts'
import { CredentialSource, type TlsLog } from './credentials.ts'
import { openDialer } from './dialer.ts'
import type { TlsOptions } from './options.ts'

export interface PrepareOptions {
  readonly tls: TlsOptions | undefined
  readonly side: 'client' | 'peer'
  readonly dataDirectory: string
  readonly listenURLs: readonly string[]
  readonly log: TlsLog
}

/**
 * Undefined when no certificate is given nor to be made. The error is for the user: what is wrong with which file. Rejects
 * when a certificate cannot be written.
 */
export async function prepareTls(options: PrepareOptions): Promise<Result<TlsOptions | undefined, string>> {
  const { tls, side, log } = options
  const isGiven = tls?.certFile !== undefined || tls?.keyFile !== undefined
  warnOfPlainUrls(options, isGiven || tls?.autoTls === true)
  if (tls === undefined) return ok(undefined)
  if (isGiven && tls.autoTls) log.warn({}, `ignoring ${side} auto TLS since certs given`)
  if (!tls.autoTls || isGiven) return checked({ ...tls, autoTls: false }, log)
  if (tls.selfSignedCertValidity < 1) return err('selfSignedCertValidity is invalid,it should be greater than 0')
  return checked(await selfSigned(tls, options), log)
}

/** So that an unusable file is reported before anything is served. */
function checked(tls: TlsOptions, log: TlsLog): Result<TlsOptions, string> {
  const { certFile, keyFile, trustedCaFile } = tls
  if ((certFile === undefined) !== (keyFile === undefined))
    return err(`KeyFile and CertFile must both be present[key: ${keyFile ?? ''}, cert: ${certFile ?? ''}]`)
  const server = CredentialSource.open({ certFile, keyFile, caFile: trustedCaFile }, log)
  if (!server.ok) return server
  const prepared = { ...tls, credentials: server.value }
  const dialer = openDialer(prepared, log)
  return dialer.ok ? ok(prepared) : dialer
}

async function selfSigned(
  tls: TlsOptions,
  { side, dataDirectory, listenURLs, log }: PrepareOptions,
): Promise<TlsOptions> {
  const directory = join(dataDirectory, 'fixtures', side)
  const { certFile, keyFile, isNew } = await selfSignedFiles(directory, hostsOf(listenURLs), tls.selfSignedCertValidity)
  if (isNew) log.warn({ directory, years: tls.selfSignedCertValidity }, 'automatically generate certificates')
  const made = { ...tls, certFile, keyFile, clientCertFile: certFile, clientKeyFile: keyFile }
  if (side === 'client') return made
  // No CA stands behind what the others make for themselves (etcd drops all of these without a word).
  const isAsked =
    tls.clientCertAuth || tls.trustedCaFile !== undefined || tls.allowedCNs.length + tls.allowedHostnames.length > 0
  if (isAsked)
    log.warn(
      {},
      'with peer auto TLS the certificates of the others are not verified: CA, client cert auth and allowed names are ignored',
    )
  return {
    ...made,
    trustedCaFile: undefined,
    clientCertAuth: false,
    clientCertOptional: false,
    crlFile: undefined,
    allowedCNs: [],
    allowedHostnames: [],
  }
}

function warnOfPlainUrls({ tls, side, listenURLs, log }: PrepareOptions, hasCertificate: boolean): void {
  // Both schemes on one address are asked for: a change from one to the other is under way.
  const secured = new Set(
    listenURLs.filter((url) => /^https:/i.test(url)).map((url) => url.replace(/^https:/i, 'http:')),
  )
  for (const url of listenURLs.filter((url) => /^(http|unix):/i.test(url) && !secured.has(url))) {
    const field = { [`${side}-url`]: url }
    if (hasCertificate)
      log.warn(field, 'scheme is http or unix while key and cert files are present; ignoring key and cert files')
    if (tls?.clientCertAuth === true) {
      const flag = side === 'client' ? '--client-cert-auth' : '--peer-client-cert-auth'
      log.warn(field, `scheme is http or unix while ${flag} is enabled; ignoring client cert auth for this URL`)
    }
  }
}

function hostsOf(urls: readonly string[]): string[] {
  return urls.flatMap((url) => {
    const [, host = ''] = /^https?:\/\/(\[[^\]]*\]|[^:/]*)/i.exec(url) ?? []
    return host === '' ? [] : [host.replaceAll(/^\[|\]$/g, '')]
  })
}
