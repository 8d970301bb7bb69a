/** The methods that the twins are asked, with the codecs of their messages. */
import type { MessageFns } from '../../node-server/proto/generated/etcd/rpc.ts'
import * as election from '../../node-server/proto/generated/etcd/election.ts'
import * as lock from '../../node-server/proto/generated/etcd/lock.ts'
import * as rpc from '../../node-server/proto/generated/etcd/rpc.ts'

export interface Method<Request, Response> {
  readonly path: string
  readonly request: MessageFns<Request>
  readonly response: MessageFns<Response>
}

/** What a case writes down of a request: the rest has its default. */
export type Part<Message> = Parameters<MessageFns<Message>['fromPartial']>[0]

function method<Request, Response>(
  path: string,
  request: MessageFns<Request>,
  response: MessageFns<Response>,
): Method<Request, Response> {
  return { path, request, response }
}

export const RANGE = method('/etcdserverpb.KV/Range', rpc.RangeRequest, rpc.RangeResponse)
export const RANGE_STREAM = method('/etcdserverpb.KV/RangeStream', rpc.RangeRequest, rpc.RangeStreamResponse)
export const PUT = method('/etcdserverpb.KV/Put', rpc.PutRequest, rpc.PutResponse)
export const DELETE_RANGE = method('/etcdserverpb.KV/DeleteRange', rpc.DeleteRangeRequest, rpc.DeleteRangeResponse)
export const TXN = method('/etcdserverpb.KV/Txn', rpc.TxnRequest, rpc.TxnResponse)
export const COMPACT = method('/etcdserverpb.KV/Compact', rpc.CompactionRequest, rpc.CompactionResponse)

export const WATCH = method('/etcdserverpb.Watch/Watch', rpc.WatchRequest, rpc.WatchResponse)

export const LEASE_GRANT = method('/etcdserverpb.Lease/LeaseGrant', rpc.LeaseGrantRequest, rpc.LeaseGrantResponse)
export const LEASE_REVOKE = method('/etcdserverpb.Lease/LeaseRevoke', rpc.LeaseRevokeRequest, rpc.LeaseRevokeResponse)
export const LEASE_KEEP_ALIVE = method(
  '/etcdserverpb.Lease/LeaseKeepAlive',
  rpc.LeaseKeepAliveRequest,
  rpc.LeaseKeepAliveResponse,
)
export const LEASE_TIME_TO_LIVE = method(
  '/etcdserverpb.Lease/LeaseTimeToLive',
  rpc.LeaseTimeToLiveRequest,
  rpc.LeaseTimeToLiveResponse,
)
export const LEASE_LEASES = method('/etcdserverpb.Lease/LeaseLeases', rpc.LeaseLeasesRequest, rpc.LeaseLeasesResponse)

export const MEMBER_LIST = method('/etcdserverpb.Cluster/MemberList', rpc.MemberListRequest, rpc.MemberListResponse)
export const MEMBER_ADD = method('/etcdserverpb.Cluster/MemberAdd', rpc.MemberAddRequest, rpc.MemberAddResponse)
export const MEMBER_REMOVE = method(
  '/etcdserverpb.Cluster/MemberRemove',
  rpc.MemberRemoveRequest,
  rpc.MemberRemoveResponse,
)
export const MEMBER_UPDATE = method(
  '/etcdserverpb.Cluster/MemberUpdate',
  rpc.MemberUpdateRequest,
  rpc.MemberUpdateResponse,
)
export const MEMBER_PROMOTE = method(
  '/etcdserverpb.Cluster/MemberPromote',
  rpc.MemberPromoteRequest,
  rpc.MemberPromoteResponse,
)

export const STATUS = method('/etcdserverpb.Maintenance/Status', rpc.StatusRequest, rpc.StatusResponse)
export const ALARM = method('/etcdserverpb.Maintenance/Alarm', rpc.AlarmRequest, rpc.AlarmResponse)
export const DEFRAGMENT = method('/etcdserverpb.Maintenance/Defragment', rpc.DefragmentRequest, rpc.DefragmentResponse)
export const HASH_KV = method('/etcdserverpb.Maintenance/HashKV', rpc.HashKVRequest, rpc.HashKVResponse)
export const HASH = method('/etcdserverpb.Maintenance/Hash', rpc.HashRequest, rpc.HashResponse)
export const SNAPSHOT = method('/etcdserverpb.Maintenance/Snapshot', rpc.SnapshotRequest, rpc.SnapshotResponse)
export const MOVE_LEADER = method('/etcdserverpb.Maintenance/MoveLeader', rpc.MoveLeaderRequest, rpc.MoveLeaderResponse)
export const DOWNGRADE = method('/etcdserverpb.Maintenance/Downgrade', rpc.DowngradeRequest, rpc.DowngradeResponse)

export const AUTH_ENABLE = method('/etcdserverpb.Auth/AuthEnable', rpc.AuthEnableRequest, rpc.AuthEnableResponse)
export const AUTH_DISABLE = method('/etcdserverpb.Auth/AuthDisable', rpc.AuthDisableRequest, rpc.AuthDisableResponse)
export const AUTH_STATUS = method('/etcdserverpb.Auth/AuthStatus', rpc.AuthStatusRequest, rpc.AuthStatusResponse)
export const AUTHENTICATE = method('/etcdserverpb.Auth/Authenticate', rpc.AuthenticateRequest, rpc.AuthenticateResponse)
export const USER_LIST = method('/etcdserverpb.Auth/UserList', rpc.AuthUserListRequest, rpc.AuthUserListResponse)
export const USER_GET = method('/etcdserverpb.Auth/UserGet', rpc.AuthUserGetRequest, rpc.AuthUserGetResponse)
export const USER_ADD = method('/etcdserverpb.Auth/UserAdd', rpc.AuthUserAddRequest, rpc.AuthUserAddResponse)
export const USER_DELETE = method(
  '/etcdserverpb.Auth/UserDelete',
  rpc.AuthUserDeleteRequest,
  rpc.AuthUserDeleteResponse,
)
export const USER_CHANGE_PASSWORD = method(
  '/etcdserverpb.Auth/UserChangePassword',
  rpc.AuthUserChangePasswordRequest,
  rpc.AuthUserChangePasswordResponse,
)
export const USER_GRANT_ROLE = method(
  '/etcdserverpb.Auth/UserGrantRole',
  rpc.AuthUserGrantRoleRequest,
  rpc.AuthUserGrantRoleResponse,
)
export const USER_REVOKE_ROLE = method(
  '/etcdserverpb.Auth/UserRevokeRole',
  rpc.AuthUserRevokeRoleRequest,
  rpc.AuthUserRevokeRoleResponse,
)
export const ROLE_ADD = method('/etcdserverpb.Auth/RoleAdd', rpc.AuthRoleAddRequest, rpc.AuthRoleAddResponse)
export const ROLE_DELETE = method(
  '/etcdserverpb.Auth/RoleDelete',
  rpc.AuthRoleDeleteRequest,
  rpc.AuthRoleDeleteResponse,
)
export const ROLE_GRANT_PERMISSION = method(
  '/etcdserverpb.Auth/RoleGrantPermission',
  rpc.AuthRoleGrantPermissionRequest,
  rpc.AuthRoleGrantPermissionResponse,
)
export const ROLE_REVOKE_PERMISSION = method(
  '/etcdserverpb.Auth/RoleRevokePermission',
  rpc.AuthRoleRevokePermissionRequest,
  rpc.AuthRoleRevokePermissionResponse,
)
export const ROLE_LIST = method('/etcdserverpb.Auth/RoleList', rpc.AuthRoleListRequest, rpc.AuthRoleListResponse)
export const ROLE_GET = method('/etcdserverpb.Auth/RoleGet', rpc.AuthRoleGetRequest, rpc.AuthRoleGetResponse)

export const LOCK = method('/v3lockpb.Lock/Lock', lock.LockRequest, lock.LockResponse)
export const UNLOCK = method('/v3lockpb.Lock/Unlock', lock.UnlockRequest, lock.UnlockResponse)
export const CAMPAIGN = method('/v3electionpb.Election/Campaign', election.CampaignRequest, election.CampaignResponse)
export const PROCLAIM = method('/v3electionpb.Election/Proclaim', election.ProclaimRequest, election.ProclaimResponse)
export const LEADER = method('/v3electionpb.Election/Leader', election.LeaderRequest, election.LeaderResponse)
export const OBSERVE = method('/v3electionpb.Election/Observe', election.LeaderRequest, election.LeaderResponse)
export const RESIGN = method('/v3electionpb.Election/Resign', election.ResignRequest, election.ResignResponse)
