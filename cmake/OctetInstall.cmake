# `make install`: the binary, its private oneDNN, the configuration file, the systemd unit, the notices.
if(NOT TARGET octet)
  return()
endif()
set(CMAKE_INSTALL_DEFAULT_COMPONENT_NAME octet)

install(TARGETS octet RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})

# The wheel's library lies in this source folder, so the installed binary gets a copy of its own; a
# system library is found as usual.
cmake_path(IS_PREFIX OCTET_VENV ${OCTET_DNNL_LIBRARY} NORMALIZE _dnnl_is_private)
if(_dnnl_is_private)
  file(REAL_PATH ${OCTET_DNNL_LIBRARY} _dnnl_file)
  install(FILES ${_dnnl_file} DESTINATION lib/octet RENAME libdnnl.so.${_dnnl_major})
  set_target_properties(octet PROPERTIES INSTALL_RPATH "$ORIGIN/../lib/octet")
endif()

# An edited configuration file stays.
install(CODE "
  set(file \"\$ENV{DESTDIR}${CMAKE_INSTALL_FULL_SYSCONFDIR}/octet/octet.yaml\")
  if(EXISTS \${file})
    message(STATUS \"Kept: \${file}\")
  else()
    file(INSTALL DESTINATION \"${CMAKE_INSTALL_FULL_SYSCONFDIR}/octet\" TYPE FILE
         FILES \"${PROJECT_SOURCE_DIR}/config/octet.yaml\")
  endif()")

configure_file(${PROJECT_SOURCE_DIR}/deploy/systemd/octet.service.in ${PROJECT_BINARY_DIR}/octet.service @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/octet.service DESTINATION lib/systemd/system)
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE ${PROJECT_SOURCE_DIR}/THIRD_PARTY_NOTICES.md
        DESTINATION ${CMAKE_INSTALL_DOCDIR})
