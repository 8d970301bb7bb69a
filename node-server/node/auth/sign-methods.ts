/** How a JWT may be signed: `--auth-token=jwt,sign-method=…`, as in etcd. */
export const SIGN_METHODS = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'HS256',
  'HS384',
  'HS512',
] as const

export type SignMethod = (typeof SIGN_METHODS)[number]
