/** URLs of members as etcd's flags take them, and the address that each names. Pure. */
import { err, ok, type Result } from '../../lib/result.ts'

export type Address =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string }

export interface AddressURL {
  readonly url: string
  readonly address: Address
  /** https or unixs. */
  readonly isSecure: boolean
}

/** `unix://host:port` names a file `host:port`, as in etcd; the error is for the user. */
export function parseAddressURL(url: string): Result<AddressURL, string> {
  const [, scheme = '', rest = ''] = /^([a-z]+):(?:\/\/)?(.*)$/i.exec(url) ?? []
  switch (scheme.toLowerCase()) {
    case 'unix':
    case 'unixs':
      if (rest === '') return err(`'${url}' names no socket file`)
      return ok({ url, address: { kind: 'unix', path: rest }, isSecure: scheme.toLowerCase() === 'unixs' })
    case 'http':
    case 'https': {
      const [, host = '', port = ''] = /^(\[[^\]]*\]|[^:/?#@\s]*):(\d{1,5})$/.exec(rest) ?? []
      if (host === '' || Number(port) > 65_535) return err(`'${url}' is not of the form http://host:port`)
      const address = { kind: 'tcp', host: host.replaceAll(/^\[|\]$/g, ''), port: Number(port) } as const
      return ok({ url, address, isSecure: scheme.toLowerCase() === 'https' })
    }
    default:
      return err(`'${url}' has none of the schemes http, https, unix, unixs`)
  }
}

/** The same for all URLs that share a socket: one is bound for them (etcd: embed/etcd.go). */
export function addressKey(address: Address): string {
  return address.kind === 'unix' ? `unix ${address.path}` : `tcp ${address.host} ${address.port}`
}

/** Of a connection. One by IPv4 to a socket of both families has the form of IPv6. */
export function plainAddress(remoteAddress: string): string {
  return remoteAddress.replace(/^::ffff:(?=\d+\.)/, '')
}

export function formatAddress(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

/**
 * The name for which the certificate of whoever listens there must be. A socket file has one where it is called
 * `host:port`, as in etcd; otherwise it is on this machine.
 */
export function serverName(address: Address): string {
  if (address.kind === 'tcp') return address.host
  return /^(\[[^\]]*\]|[^:/]+):\d+$/.exec(address.path)?.[1]?.replaceAll(/^\[|\]$/g, '') ?? 'localhost'
}
