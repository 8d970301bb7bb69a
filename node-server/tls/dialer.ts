/** The dialling end of TLS. The files are looked at for every connection. */
import { isIP } from 'node:net'
import { connect, getCACertificates, type TLSSocket } from 'node:tls'
import { err, ok, type Result } from '../../lib/result.ts'
import { serverName, type Address } from '../address/address.ts'
import { CredentialSource, type TlsLog } from './credentials.ts'
import type { TlsOptions } from './options.ts'
import { checkAllowed, shownChain } from './peer-check.ts'
import { tlsSettings } from './settings.ts'

export interface TlsDialer {
  /** Emits `secureConnect` once the other side is known to be who it should be, or `error`. */
  dial(address: Address): TLSSocket
}

/** The error is for the user. */
export function openDialer(tls: TlsOptions, log: TlsLog): Result<TlsDialer, string> {
  const { clientCertFile, clientKeyFile, certFile, keyFile, trustedCaFile } = tls
  if ((clientCertFile === undefined) !== (clientKeyFile === undefined))
    return err(
      `ClientKeyFile and ClientCertFile must both be present or both absent: key: ${clientKeyFile ?? ''}, cert: ${clientCertFile ?? ''}]`,
    )
  const settings = tlsSettings(tls, log)
  if (!settings.ok) return settings
  const own =
    clientCertFile === undefined
      ? { certFile, keyFile, caFile: trustedCaFile }
      : { certFile: clientCertFile, keyFile: clientKeyFile, caFile: trustedCaFile }
  const shared = clientCertFile === undefined ? tls.credentials : undefined
  const source = shared === undefined ? CredentialSource.open(own, log) : ok(shared)
  if (!source.ok) return source
  return ok({
    dial: (address) => {
      const name = serverName(address)
      const { cert, key, ca } = source.value.current()
      const socket = connect({
        // Beside a path it names whom the certificate must be for, and nothing else.
        host: name,
        ...(address.kind === 'unix' ? { path: address.path } : { port: address.port }),
        ...settings.value,
        ...(cert === undefined ? {} : { cert }),
        ...(key === undefined ? {} : { key }),
        ca: [...(ca ?? getCACertificates('system'))],
        // Certificates that members made for themselves come from no CA: the line is encrypted, nobody is known by it.
        rejectUnauthorized: !tls.autoTls,
        ...(isIP(name) === 0 ? { servername: name } : {}),
      })
      socket.prependOnceListener('secureConnect', () => {
        const allowed = checkAllowed(shownChain(socket), tls)
        if (!allowed.ok) socket.destroy(new Error(allowed.error))
      })
      return socket
    },
  })
}
