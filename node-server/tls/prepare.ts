/** From the flags' TLS options to those that listeners and dialers take: certificates made where asked, oddities told. */
import { join } from 'node:path'
import { selfSignedFiles } from './self-signed.ts'
import type { TlsLog } from './credentials.ts'
import type { TlsOptions } from './options.ts'

export interface PrepareOptions {
  readonly tls: TlsOptions | undefined
  readonly side: 'client' | 'peer'
  readonly dataDirectory: string
  readonly listenURLs: readonly string[]
  readonly log: TlsLog
}

/** Undefined when no certificate is given nor to be made. Rejects when one cannot be written. */
export async function prepareTls(options: PrepareOptions): Promise<TlsOptions | undefined> {
  const { tls, side, log, listenURLs } = options
  const given = tls?.certFile !== undefined || tls?.keyFile !== undefined
  warnOfPlainUrls(options, given || tls?.autoTls === true)
  if (tls === undefined) return undefined
  if (given) {
    if (tls.autoTls) log.warn({}, `ignoring ${side} auto TLS since certs given`)
    return { ...tls, autoTls: false }
  }
  if (!tls.autoTls) return tls
  if (tls.selfSignedCertValidity < 1) throw new Error('selfSignedCertValidity is invalid,it should be greater than 0')
  const directory = join(options.dataDirectory, 'fixtures', side)
  const { certFile, keyFile, isNew } = await selfSignedFiles(directory, hostsOf(listenURLs), tls.selfSignedCertValidity)
  if (isNew) log.warn({ directory, years: tls.selfSignedCertValidity }, 'automatically generate certificates')
  const made = { ...tls, certFile, keyFile, clientCertFile: certFile, clientKeyFile: keyFile }
  if (side === 'client') return made
  // No CA stands behind what the others make for themselves (etcd drops all of these without a word).
  const dropped =
    tls.clientCertAuth || tls.trustedCaFile !== undefined || tls.allowedCNs.length + tls.allowedHostnames.length > 0
  if (dropped)
    log.warn({}, 'with peer auto TLS the certificates of the others are not verified: CA and allowed names are ignored')
  return {
    ...made,
    trustedCaFile: undefined,
    clientCertAuth: false,
    crlFile: undefined,
    allowedCNs: [],
    allowedHostnames: [],
  }
}

function warnOfPlainUrls({ tls, side, listenURLs, log }: PrepareOptions, hasCertificate: boolean): void {
  for (const url of listenURLs.filter((url) => /^(http|unix):/i.test(url))) {
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
