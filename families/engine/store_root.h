// What the roots of stores have in common, whatever engine keeps the database:
//
//   db           the database: a file or a directory, with the engine's own files beside or in it
//   db.new       a database being created; means nothing
//   db.mark      the engine's log that must be there (log_mark.h)
//   snapshot/    trees of files (snapshot.h)
//
// Creation builds `db.new`, makes it durable and renames it, so a `db` is always whole; an
// unfinished creation opens as absent. A root with other traces of a store and no `db` is damage
// and never a fresh store (ora.L13).
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "families/contract/family.h"

namespace qk::families {

std::string database_path(std::string_view root);
std::string unfinished_database_path(std::string_view root);
std::string snapshot_root(std::string_view root);

// Whether the root of `request` holds a database. If not, and if one may be created, the root is
// there afterwards. NotFound: there is none, nor any trace of one, and none may be created.
// DataLoss: there is none, but something that only a store leaves; `beside` names what the engine
// keeps beside its database, by what follows its path ("-wal").
absl::StatusOr<bool> find_database(const OpenRequest& request, std::string_view family,
                                   std::span<const std::string_view> beside);

// Gives the unfinished database, which is durable, its name. Opening makes the name durable.
absl::Status finish_creation(FileSystem& fs, std::string_view root);

}  // namespace qk::families
