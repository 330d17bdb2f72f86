-- Users of the tests make tables without asking who may use which server.
GRANT USAGE ON FOREIGN SERVER nvmkv TO PUBLIC;
