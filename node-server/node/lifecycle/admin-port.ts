/** What the admin API needs from the member behind it, in every state from waiting to removed. */
import type {
  AdminChange,
  AdminError,
  AdminStatus,
  AdminUpkeep,
  BootstrapRequest,
  JoinRequest,
  LeaderTransferRequest,
  LeaderTransferResult,
  MembershipRequest,
  RecoverRequest,
  UpkeepRequest,
} from '../../../lib/admin-api.ts'
import type { Result } from '../../../lib/result.ts'

export interface AdminPort {
  status(): AdminStatus
  bootstrap(request: BootstrapRequest): Promise<Result<AdminChange, AdminError>>
  join(request: JoinRequest): Promise<Result<AdminChange, AdminError>>
  /** Forwards to the leader when this member is not it. */
  changeMembership(request: MembershipRequest): Promise<Result<AdminChange, AdminError>>
  /** Forwards to the leader; resolves once the target leads or the transfer was given up. */
  transferLeader(request: LeaderTransferRequest): Promise<Result<LeaderTransferResult, AdminError>>
  /** This member alone goes on; it serves nobody for a moment. */
  recover(request: RecoverRequest): Promise<Result<AdminChange, AdminError>>
  /** Of this member's own store, or of what all have. */
  keepUp(request: UpkeepRequest): Promise<Result<AdminUpkeep, AdminError>>
  /** Undefined when ready to serve clients, otherwise the reason in words. */
  notReadyReason(): string | undefined
}
